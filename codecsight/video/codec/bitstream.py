"""Parser of the few H.264 header fields that FFmpeg doesn't export (ITU-T H.264, 7.3.2.1, 7.3.3).

They show whether a picture is used as a reference, whether it is a field, and whether a reference
picture before it was lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SLICE, IDR, SPS = 1, 5, 7  # NAL unit types (table 7-1)
HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
MAX_SLICE_HEADER_BYTES = 24
MAX_SPS_BYTES = 512
START_CODE = b"\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """The parts of a sequence parameter set that a slice header depends on.

    `frame_num` is `frame_num_bits` wide; `gaps_allowed` if the encoder may leave numbers out.
    `fields_allowed` if a picture may be a single field (every other line of a frame).
    """

    frame_num_bits: int
    gaps_allowed: bool
    fields_allowed: bool


class SliceHeader(NamedTuple):
    """Leading fields of the header of a picture's first slice."""

    idr: bool
    reference: bool
    frame_num: int
    field: bool


class H264HeaderParser:
    """Reads headers from packets with start codes (Annex B) or with NAL unit lengths (MP4)."""

    def __init__(self, extradata: bytes) -> None:
        self._length_size = (extradata[4] & 3) + 1 if _is_avcc(extradata) else 0
        self._sequence: SequenceParameters | None = None
        if not self._length_size:
            self.parse_first_slice(extradata)  # stores the parameter sets it passes
            return
        for unit in _avcc_sps(extradata):
            if unit[0] & 31 == SPS:
                self._store_sps(unit)

    @property
    def gaps_allowed(self) -> bool:
        """Whether gaps in frame_num are legal, and so no sign of loss."""
        return self._sequence is not None and self._sequence.gaps_allowed

    @property
    def modulus(self) -> int:
        """Number of frame_num values before it wraps around to 0."""
        return 1 << (self._sequence.frame_num_bits if self._sequence else 4)

    def parse_first_slice(self, data: bytes) -> SliceHeader | None:
        """Header of the packet's first slice, or None if there is none that can be read."""
        at = 0
        while True:
            start, at = self._unit(data, at)
            if start >= len(data):
                return None
            kind = data[start] & 31
            if kind == SPS:
                self._store_sps(data[start : start + MAX_SPS_BYTES])
            elif kind in (SLICE, IDR):
                return self._slice(data[start : start + MAX_SLICE_HEADER_BYTES])

    def _unit(self, data: bytes, at: int) -> tuple[int, int]:
        """(start of the first NAL unit at or after `at`, position to search the next one from)."""
        if not self._length_size:
            start = data.find(START_CODE, at) + len(START_CODE)
            return (start, start) if start >= len(START_CODE) else (len(data), len(data))
        start = at
        while start == at and at < len(data):  # skip empty units
            start = at + self._length_size
            at = start + int.from_bytes(data[at:start], "big")
        return start, at

    def _store_sps(self, unit: bytes) -> None:
        try:
            self._sequence = _parse_sps(_Bits(unit[1:]))
        except IndexError:
            self._sequence = None

    def _slice(self, unit: bytes) -> SliceHeader | None:
        if self._sequence is None:
            return None
        bits = _Bits(unit[1:])
        try:
            bits.skip(3)  # first_mb_in_slice, slice_type, pic_parameter_set_id
            number = bits.take(self._sequence.frame_num_bits)
            field = self._sequence.fields_allowed and bool(bits.take(1))
        except IndexError:
            return None
        reference = bool(unit[0] >> 5 & 3)  # nal_ref_idc
        return SliceHeader(unit[0] & 31 == IDR, reference, number, field)


class _Bits:
    """Bit reader of a NAL unit's payload, most significant bit first; IndexError at the end."""

    def __init__(self, payload: bytes) -> None:
        plain = payload.replace(b"\x00\x00\x03", b"\x00\x00")  # emulation prevention (7.4.1)
        self._value, self._left = int.from_bytes(plain, "big"), 8 * len(plain)

    def take(self, count: int) -> int:
        """Read `count` bits as an unsigned number."""
        self._left -= count
        if self._left < 0:
            raise IndexError("no bits left")
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb number (9.1)."""
        return self.take(self._ue_length()) - 1

    def skip(self, count: int) -> None:
        """Skip `count` Exp-Golomb numbers."""
        for _ in range(count):
            self._left -= self._ue_length()
            if self._left < 0:
                raise IndexError("no bits left")

    def _ue_length(self) -> int:
        """Length in bits of the Exp-Golomb number at the current position."""
        zeros = self._left - (self._value & (1 << self._left) - 1).bit_length()
        if zeros > 32:
            raise IndexError("Exp-Golomb number of more than 65 bits")
        return 2 * zeros + 1


def _parse_sps(bits: _Bits) -> SequenceParameters:
    """Parse a sequence parameter set up to frame_mbs_only_flag (7.3.2.1.1)."""
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    bits.ue()  # seq_parameter_set_id
    if profile in HIGH_PROFILES:
        _skip_high_profile(bits)
    frame_num_bits = bits.ue() + 4
    order_type = bits.ue()  # pic_order_cnt_type
    if order_type == 0:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.take(1)  # delta_pic_order_always_zero_flag
        bits.skip(2)  # offset_for_non_ref_pic, offset_for_top_to_bottom_field
        bits.skip(bits.ue())  # offset_for_ref_frame of each frame of the cycle
    bits.ue()  # max_num_ref_frames
    gaps_allowed = bool(bits.take(1))
    bits.skip(2)  # width and height in macroblocks
    return SequenceParameters(frame_num_bits, gaps_allowed, not bits.take(1))


def _skip_high_profile(bits: _Bits) -> None:
    """Skip the fields that only high profiles have: chroma format, bit depths, scaling lists."""
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)  # separate_colour_plane_flag
    bits.skip(2)  # bit depths of luma and chroma
    bits.take(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.take(1):  # seq_scaling_matrix_present_flag
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


def _avcc_sps(extradata: bytes) -> Iterator[bytes]:
    """The sequence parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15)."""
    at = 6
    for _ in range(extradata[5] & 31):
        size = int.from_bytes(extradata[at : at + 2], "big")
        if unit := extradata[at + 2 : at + 2 + size]:
            yield unit
        at += 2 + size
