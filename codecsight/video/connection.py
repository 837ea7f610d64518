"""One open container: its video stream described, and its packets as they come."""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from codecsight.video.clock import StreamClock
from codecsight.video.packet import Packet, StreamInfo
from codecsight.video.source import SourceError

MAX_ERRORS = 16

CapturedAt = Callable[[float, float], float]
"""The wall clock of a packet that is due (decoded) and shown at these seconds of the stream."""


class Connection:
    """A container that has a video stream this machine can decode.

    Raises SourceError where it has none, and av.error.FFmpegError where it can't be opened.
    """

    def __init__(
        self,
        url: str,
        anomalies: Counter[str],
        options: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._anomalies = anomalies
        self._container: InputContainer = av.open(url, "r", options=options, timeout=timeout_s)
        try:
            self._stream = _video_stream(self._container)
            self.info = _describe(self._stream)
        except SourceError:
            self.close()
            raise

    @property
    def finite(self) -> bool:
        """Whether the container says how long it is, as recordings do and cameras don't."""
        return bool(self._container.duration)

    def packets(self, clock: StreamClock, captured_at: CapturedAt) -> Iterator[Packet]:
        """The packets, on the stream's clock; those without data are counted and left out."""
        clock.connect(self.info.time_base, bool(self._stream.codec_context.has_b_frames))
        time = 0.0
        for packet in self._demux():
            pts, dts = clock.place(packet.pts, packet.dts, packet.duration or 0)
            due = time if dts is None else float(dts * self.info.time_base)
            time = max(time, due) if pts is None else float(pts * self.info.time_base)
            if packet.is_corrupt:
                self._anomalies["corrupt packets"] += 1
            yield Packet(
                data=bytes(packet),
                pts=pts,
                dts=dts,
                duration=packet.duration or 0,
                time_base=self.info.time_base,
                keyframe=packet.is_keyframe,
                captured=captured_at(due, time),
                corrupt=packet.is_corrupt,
            )

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _demux(self) -> Iterator["av.Packet[VideoStream]"]:
        errors = 0
        while errors < MAX_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    if packet.size:
                        yield packet
                    elif packet.dts is not None or packet.pts is not None:
                        self._anomalies["packets without data"] += 1
                return
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                errors += 1
                self._anomalies["container errors"] += 1


def _video_stream(container: InputContainer) -> VideoStream:
    """The container's first video stream that can be decoded."""
    streams = container.streams.video
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
