"""Encoded packets of a stream, and the stream description needed to decode or remux them."""

from dataclasses import dataclass
from fractions import Fraction

from codecsight.core.orientation import UPRIGHT, Orientation, shown_size


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Description of a connection's stream, which a decoder or muxer needs before any packet.

    `rate` is the declared frame rate in frames per second, 0.0 if none is declared. Cameras often
    declare a wrong rate, so no time is computed from it. `width` and `height` are those of the
    coded picture. The container says how to show it: `orientation`, and `sample_aspect`, the width
    of a pixel divided by its height, 0 if unknown. The bitstream overrules both (see Decoder).
    """

    codec: str
    extradata: bytes
    width: int
    height: int
    rate: float
    time_base: Fraction
    orientation: Orientation = UPRIGHT
    sample_aspect: Fraction = Fraction(0)

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) of the picture that a player shows: turned, with square pixels."""
        return shown_size(self.width, self.height, self.orientation, self.sample_aspect)


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded packet, unchanged; the same packet is recorded and analysed.

    `pts` and `dts` are ticks of `time_base` on the stream's clock, which never runs backwards
    across reconnections and loops. RTSP sends the first packets without a `pts`. `capture_time`
    is the edge's wall clock in seconds since the epoch. `corrupt`: the container reports that data
    in or before this packet was lost.
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
        """Presentation time in seconds of the stream, or None without a `pts`."""
        return None if self.pts is None else float(self.pts * self.time_base)
