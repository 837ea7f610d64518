"""One open container: its video stream described, and its packets as they come."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.clock import StreamClock
from codecsight.video.capture.source import SourceError

MAX_ERRORS = 16
TEXT = frozenset({"tty"})
TIMELESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})
WALL_CLOCK = Fraction(1, 90_000)

CaptureTimeFn = Callable[[float, float], float]
"""The wall clock of a packet that is due (decoded) and shown at these seconds of the stream."""


class Connection:
    """A container that has a video stream this machine can decode.

    `timeouts` are the seconds to open and look at it, and to wait for a packet. Formats without
    any timestamps are timed by their arrival where they come `live` (FFmpeg makes up 25 frames per
    second). Raises SourceError where there is no video that can be decoded, and
    av.error.FFmpegError where the container can't be opened.
    """

    def __init__(
        self,
        url: str,
        anomalies: Counter[str],
        live: bool,
        options: dict[str, str] | None = None,
        timeouts: tuple[float, float] | None = None,
    ) -> None:
        self._anomalies = anomalies
        self._container: InputContainer = av.open(url, "r", options=options, timeout=timeouts)
        try:
            self._stream = _video_stream(self._container)
            self.info = _describe(self._stream)
        except SourceError:
            self.close()
            raise
        self._connected: float | None = None
        if live and self._container.format.name in TIMELESS:
            self.info = replace(self.info, time_base=WALL_CLOCK)
            self._connected = time.monotonic()

    @property
    def finite(self) -> bool:
        """Whether the container says how long it is, as recordings do and cameras don't."""
        return bool(self._container.duration)

    def packets(self, clock: StreamClock, capture_time_fn: CaptureTimeFn) -> Iterator[Packet]:
        """The packets, on the stream's clock; errors in between are counted and passed over."""
        base = self.info.time_base
        clock.start_connection(base, bool(self._stream.codec_context.has_b_frames))
        shown = 0.0
        for packet in self._demux():
            duration = packet.duration or 0 if self._connected is None else 0
            pts, dts = clock.rebase(*self._stamps(packet), duration)
            due = shown if dts is None else float(dts * base)
            shown = max(shown, due) if pts is None else float(pts * base)
            if packet.is_corrupt:
                self._anomalies["corrupt packets"] += 1
            yield Packet(
                data=bytes(packet),
                pts=pts,
                dts=dts,
                duration=duration,
                time_base=base,
                keyframe=packet.is_keyframe,
                capture_time=capture_time_fn(due, shown),
                corrupt=packet.is_corrupt,
            )

    def _stamps(self, packet: "av.Packet[VideoStream]") -> tuple[int | None, int | None]:
        if self._connected is None:
            return packet.pts, packet.dts
        arrived = round((time.monotonic() - self._connected) / WALL_CLOCK)
        return None if self._stream.codec_context.has_b_frames else arrived, arrived

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _demux(self) -> Iterator["av.Packet[VideoStream]"]:
        errors = 0
        while errors < MAX_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    if packet.size:  # the demuxer ends with an empty one
                        yield packet
                return
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                errors += 1
                self._anomalies["container errors"] += 1


def _video_stream(container: InputContainer) -> VideoStream:
    """The container's first video stream that can be decoded."""
    streams = container.streams.video
    if container.format.name in TEXT:
        raise SourceError("it is text, not video")
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(f"it has no video stream, only: {kinds}")
    for stream in streams:
        if stream.codec_context is not None and stream.codec_context.width:
            return stream
    raise SourceError("its video can't be decoded here: unknown codec or no picture size")


def _describe(stream: VideoStream) -> StreamInfo:
    """What a decoder or muxer of this stream must know."""
    codec = stream.codec_context
    return StreamInfo(
        codec=codec.codec.canonical_name,
        extradata=codec.extradata or b"",
        width=codec.width,
        height=codec.height,
        rate=float(stream.average_rate or 0),
        time_base=stream.time_base or Fraction(1, 90_000),
    )
