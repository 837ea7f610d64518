"""The few facts in H.264's headers that FFmpeg doesn't pass on (ITU-T H.264, 7.3.2.1, 7.3.3).

Enough to know whether a picture serves as a reference, whether it is a field, and whether one
before it was lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SLICE, IDR, SPS = 1, 5, 7
HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
HEADER_BYTES = 24
SET_BYTES = 512
START_CODE = b"\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """How a sequence counts its pictures: `frame_num` is `bits` wide, and may have `gaps`. And
    whether each picture is a whole frame; else some may be `fields`, every other line of one.
    """

    bits: int
    gaps: bool
    fields: bool


class SliceHeader(NamedTuple):
    """The start of a picture's first slice."""

    idr: bool
    reference: bool
    frame_num: int
    field: bool


class H264HeaderParser:
    """Reads headers from packets in either packing: start codes, or lengths as in MP4."""

    def __init__(self, extradata: bytes) -> None:
        self._length = (extradata[4] & 3) + 1 if _is_avcc(extradata) else 0
        self._numbering: SequenceParameters | None = None
        if not self._length:
            self.parse_first_slice(extradata)  # learns on the way
            return
        for unit in _avcc_sets(extradata):
            if unit[0] & 31 == SPS:
                self._learn(unit)

    @property
    def gaps_allowed(self) -> bool:
        """Whether the encoder leaves numbers out by itself."""
        return self._numbering is not None and self._numbering.gaps

    @property
    def modulus(self) -> int:
        """How many frame numbers there are."""
        return 1 << (self._numbering.bits if self._numbering else 4)

    def parse_first_slice(self, data: bytes) -> SliceHeader | None:
        """The packet's first slice, or None where it has none that can be read."""
        at = 0
        while True:
            begin, at = self._unit(data, at)
            if begin >= len(data):
                return None
            kind = data[begin] & 31
            if kind == SPS:
                self._learn(data[begin : begin + SET_BYTES])
            elif kind in (SLICE, IDR):
                return self._slice(data[begin : begin + HEADER_BYTES])

    def _unit(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the first NAL unit from `at` on begins, and from where on to look for the next."""
        if not self._length:
            begin = data.find(START_CODE, at) + len(START_CODE)
            return (begin, begin) if begin >= len(START_CODE) else (len(data), len(data))
        begin = at
        while begin == at and at < len(data):  # not an empty one
            begin = at + self._length
            at = begin + int.from_bytes(data[at:begin], "big")
        return begin, at

    def _learn(self, unit: bytes) -> None:
        try:
            self._numbering = _numbering(_Bits(unit[1:]))
        except IndexError:
            self._numbering = None

    def _slice(self, unit: bytes) -> SliceHeader | None:
        if self._numbering is None:
            return None
        bits = _Bits(unit[1:])
        try:
            bits.skip(3)  # first_mb_in_slice, slice_type, pic_parameter_set_id
            number = bits.take(self._numbering.bits)
            field = self._numbering.fields and bool(bits.take(1))
        except IndexError:
            return None
        return SliceHeader(unit[0] & 31 == IDR, bool(unit[0] >> 5 & 3), number, field)


class _Bits:
    """Bits of a NAL unit's payload, most significant first; IndexError where there are none."""

    def __init__(self, payload: bytes) -> None:
        plain = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._left = int.from_bytes(plain, "big"), 8 * len(plain)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("no bits left")
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb number (9.1)."""
        return self.take(self._length()) - 1

    def skip(self, count: int) -> None:
        """Pass over so many of them."""
        for _ in range(count):
            self._left -= self._length()
            if self._left < 0:
                raise IndexError("no bits left")

    def _length(self) -> int:
        zeros = self._left - (self._value & (1 << self._left) - 1).bit_length()
        if zeros > 32:
            raise IndexError("no such number")
        return 2 * zeros + 1


def _numbering(bits: _Bits) -> SequenceParameters:
    """Read a sequence parameter set as far as frame_mbs_only_flag."""
    profile = bits.take(8)
    bits.take(16)
    bits.ue()
    if profile in HIGH_PROFILES:
        _skip_high_profile(bits)
    width = bits.ue() + 4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1)
        bits.ue()
        bits.ue()
        for _ in range(bits.ue()):
            bits.ue()
    bits.ue()
    gaps = bool(bits.take(1))
    bits.skip(2)  # width and height
    return SequenceParameters(width, gaps, not bits.take(1))


def _skip_high_profile(bits: _Bits) -> None:
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    bits.ue()
    bits.ue()
    bits.take(1)
    if bits.take(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.ue()
            following = (last + (code + 1) // 2 * (1 if code & 1 else -1)) % 256
        last = following or last


def _is_avcc(extradata: bytes) -> bool:
    return len(extradata) > 6 and extradata[0] == 1


def _avcc_sets(extradata: bytes) -> Iterator[bytes]:
    """The sequence parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15)."""
    at = 6
    for _ in range(extradata[5] & 31):
        size = int.from_bytes(extradata[at : at + 2], "big")
        if unit := extradata[at + 2 : at + 2 + size]:
            yield unit
        at += 2 + size
