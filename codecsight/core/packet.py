"""What a camera sends: encoded packets, and the description needed to decode or remux them."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a decoder or a muxer must know before the first packet of a connection.

    `rate` is the frame rate the container declares (frames per second, 0.0 where it declares
    none); cameras are known to lie about it, so nothing computes time from it.
    """

    codec: str
    extradata: bytes
    width: int
    height: int
    rate: float
    time_base: Fraction


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded packet, exactly as it came: what is analysed and what is recorded.

    `pts` and `dts` are ticks of `time_base` on the stream's own clock, which never runs
    backwards over reconnections and loops; `capture_time` is the wall clock at the edge in
    seconds since the epoch. RTSP sends the first packets without a `pts`. `corrupt` is the
    container's own word that something in or before this packet was lost.
    """

    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    keyframe: bool
    capture_time: float
    corrupt: bool = False

    @property
    def time(self) -> float | None:
        """Presentation time in seconds of the stream, or None where the stream gives none."""
        return None if self.pts is None else float(self.pts * self.time_base)
