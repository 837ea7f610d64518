"""Encoded sound of a connection. It is recorded with the video; nothing else is done with it."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Description of an audio track. `extradata` are its codec's parameters, `bits` the bits of a
    coded sample for codecs that have a fixed number of them, otherwise 0.
    """

    codec: str
    extradata: bytes
    sample_rate: int
    channels: int
    bits: int
    time_base: Fraction

    def __str__(self) -> str:
        """For display: `aac, 16 kHz, 1 channel`."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.codec}, {self.sample_rate / 1000:g} kHz, {channels}"


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One encoded packet of sound. `pts` and `duration` are ticks of `time_base`; `pts` is on the
    same clock as that of the video's packets.
    """

    data: bytes
    pts: int
    duration: int
    time_base: Fraction
