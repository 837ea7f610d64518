"""One open container: the description of its video stream, and its packets."""

import errno
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.container import is_http, open_container
from codecsight.video.capture.files.frame_times import FrameTimes
from codecsight.video.capture.files.pipe import PipeReader
from codecsight.video.capture.sound import SoundTrack
from codecsight.video.capture.source import NO_KEY_FRAME, OnAudio, SourceError
from codecsight.video.capture.timing.clock import StreamClock
from codecsight.video.capture.timing.recording_rule import LOOKAHEAD
from codecsight.video.codec.display import changed_info, container_aspect, container_orientation

MAX_CONSECUTIVE_ERRORS = 16
TEXT_FORMATS = frozenset({"tty"})
FORMATS_WITHOUT_TIMESTAMPS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})
ARRIVAL_CLOCK = Fraction(1, 90_000)
TIMESTAMPS_MAY_JUMP = 0x0200  # FFmpeg's AVFMT_TS_DISCONT

Stamps = tuple[int | None, int | None]
CaptureTimeFn = Callable[[float, float], float]
"""Maps (decode time, display time) in stream seconds to the packet's wall-clock capture time."""


class Connection:
    """A container with a video stream that can be decoded on this machine.

    `timeouts` are the seconds allowed for opening and probing, and for each packet. A `live`
    format without timestamps is timed by the arrival of its packets, because FFmpeg would assume
    25 frames per second. Raises SourceError if there is no decodable video, and
    av.error.FFmpegError if the container can't be opened.
    """

    def __init__(
        self,
        url: str | PipeReader,
        anomalies: Counter[str],
        live: bool,
        options: dict[str, str] | None = None,
        timeouts: tuple[float, float] | None = None,
        on_audio: OnAudio | None = None,
        audio: bool = False,
        container_format: str | None = None,
    ) -> None:
        self._anomalies = anomalies
        self._container: InputContainer = open_container(url, options, timeouts, container_format)
        try:
            self._stream = _video_stream(self._container)
            self.info = _describe(self._stream)
        except SourceError:
            self.close()
            raise
        self._sound = SoundTrack.of(self._container)
        self._on_audio, self._audio = on_audio, audio
        self._still = live and is_http(url) and _is_picture(self._container)
        self.format = self._container.format.name
        self._series = live and self.format == "mjpeg"
        self._packets = 0
        self._recorded = not live or (self.finite and is_http(url))
        self._timed_from: float | None = None
        if live and (self._still or self._container.format.name in FORMATS_WITHOUT_TIMESTAMPS):
            rate = 0.0 if self._still else self.info.rate
            self.info = replace(self.info, time_base=ARRIVAL_CLOCK, rate=rate)
            self._timed_from = time.monotonic()
        self._frame_times: FrameTimes | None = None
        if not live and FrameTimes.needed(self._container, self._stream):
            self._frame_times = FrameTimes(self._stream)
            self.info = replace(self.info, rate=float(self._frame_times.rate))

    @property
    def finite(self) -> bool:
        """Whether the container declares a duration, as recordings do and cameras don't."""
        return bool(self._container.duration)

    @property
    def still(self) -> bool:
        """Whether it is a URL that gave one picture, and no stream of them."""
        return self._still and self._packets == 1

    def packets(
        self, clock: StreamClock, capture_time_fn: CaptureTimeFn
    ) -> Iterator[StreamInfo | Packet]:
        """Yield the packets, on the stream's clock; container errors are counted and skipped.

        Where the container announces other codec headers in mid-stream, a StreamInfo comes first.
        """
        base, display_s = self.info.time_base, 0.0
        reordered = bool(self._stream.codec_context.has_b_frames)
        spliced = bool(self._container.format.flags & TIMESTAMPS_MAY_JUMP)
        recorded = self._recorded
        clock.start_connection(base, reordered, self.info.rate, recording=recorded, spliced=spliced)
        if self._sound:
            self._sound.start(clock, recording=recorded, spliced=spliced)
        self._announce_sound()
        for packet, stamps, following in self._timed():
            duration = self._duration(packet)
            pts, dts = clock.rebase(*stamps, duration, following)
            decode_s = display_s if dts is None else float(dts * base)
            display_s = max(display_s, decode_s) if pts is None else float(pts * base)
            if packet.is_corrupt:
                self._anomalies["corrupt packets"] += 1
            if (changed := changed_info(self.info, packet)) is not None:
                self.info = changed
                yield changed
                self._announce_sound()
            yield Packet(
                data=_picture(bytes(packet)) if self._series else bytes(packet),
                pts=pts,
                dts=dts,
                duration=duration,
                time_base=base,
                keyframe=packet.is_keyframe,
                capture_time=capture_time_fn(decode_s, display_s),
                corrupt=packet.is_corrupt,
            )

    def _duration(self, packet: "av.Packet[VideoStream]") -> int:
        if self._frame_times is not None:
            return self._frame_times.step
        return packet.duration or 0 if self._timed_from is None else 0

    def _announce_sound(self) -> None:
        if self._sound and self._on_audio:
            self._on_audio(self._sound.info)

    def _hear(self, packet: "av.Packet[Stream]") -> None:
        heard = self._sound.packet(packet) if self._sound else None
        if heard and self._on_audio:
            self._on_audio(heard)

    def _timed(self) -> Iterator[tuple["av.Packet[VideoStream]", Stamps, list[Stamps]]]:
        """Each packet with its (pts, dts) and, in a recording, those of the packets after it."""
        ahead: deque[tuple[av.Packet[VideoStream], Stamps]] = deque()
        failure: av.FFmpegError | None = None
        try:
            for stamped in self._stamped():
                ahead.append(stamped)
                if len(ahead) > (LOOKAHEAD if self._recorded else 0):
                    yield *ahead.popleft(), [stamps for _, stamps in ahead]
        except av.FFmpegError as error:
            failure = error
        while ahead:
            yield *ahead.popleft(), [stamps for _, stamps in ahead]
        if failure is not None:
            raise failure

    def _stamped(self) -> Iterator[tuple["av.Packet[VideoStream]", Stamps]]:
        """Each packet with its (pts, dts), before the clock's corrections."""
        if self._frame_times is None:
            for packet in self._demux():
                yield packet, self._timestamps(packet)
            return
        failure: av.FFmpegError | None = None
        try:
            for packet in self._demux():
                yield from self._frame_times.add(packet)
        except av.FFmpegError as error:
            failure = error
        yield from self._frame_times.flush()
        if failure is not None:
            raise failure

    def _timestamps(self, packet: "av.Packet[VideoStream]") -> Stamps:
        if self._timed_from is None:
            return packet.pts, packet.dts
        arrival = round((time.monotonic() - self._timed_from) / ARRIVAL_CLOCK)
        # Packets arrive in decoding order, so with B-frames the arrival is a dts but not a pts.
        return None if self._stream.codec_context.has_b_frames else arrival, arrival

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _demux(self) -> Iterator["av.Packet[VideoStream]"]:
        sound = (self._sound.stream,) if self._sound and self._audio else ()
        errors = 0
        while errors < MAX_CONSECUTIVE_ERRORS:
            try:
                for packet in self._container.demux(self._stream, *sound):
                    errors = 0
                    if packet.stream.type == "audio":
                        self._hear(packet)
                    elif packet.size:  # the demuxer ends with an empty packet
                        self._packets += 1
                        yield cast("av.Packet[VideoStream]", packet)
                return
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                errors += 1
                self._anomalies["container errors"] += 1
            except av.error.OSError as error:
                # The end of a picture whose length the server did not say.
                if error.errno == errno.EIO and self.still:
                    return
                raise


def _picture(data: bytes) -> bytes:
    """A JPEG without what a web server wrote around it: boundaries and headers."""
    start, end = data.find(b"\xff\xd8"), data.rfind(b"\xff\xd9")
    return data[start : end + 2] if 0 <= start < end else data


def _is_picture(container: InputContainer) -> bool:
    return container.format.name.endswith("_pipe")


def _video_stream(container: InputContainer) -> VideoStream:
    """The container's default video stream that can be decoded, otherwise the first one."""
    streams = container.streams.video
    if container.format.name in TEXT_FORMATS:
        raise SourceError("it is text, not video")
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(f"it has no video stream, only: {kinds}")
    usable = [each for each in streams if each.codec_context and each.codec_context.width]
    if usable:
        # One that the container marks as default comes before those that it does not.
        return next((each for each in usable if each.disposition & Disposition.default), usable[0])
    codecs = {stream.codec_context.name for stream in streams if stream.codec_context}
    if not codecs:
        raise SourceError("its video can't be decoded here: unknown codec")
    raise SourceError(f"its {', '.join(sorted(codecs))} video has no picture size: {NO_KEY_FRAME}")


def _describe(stream: VideoStream) -> StreamInfo:
    codec = stream.codec_context
    return StreamInfo(
        codec=codec.codec.canonical_name,
        extradata=codec.extradata or b"",
        width=codec.width,
        height=codec.height,
        rate=float(stream.average_rate or 0),
        time_base=stream.time_base or Fraction(1, 90_000),
        orientation=container_orientation(stream),
        sample_aspect=container_aspect(stream),
    )
