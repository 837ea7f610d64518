"""H.264 streams with one picture per field (PAFF), which no free encoder produces.

Each field is encoded as a small progressive picture, one encoder per parity. Then the headers are
rewritten to declare fields (ITU-T H.264, 7.3.2.1, 7.3.3). As in real PAFF streams, each field
refers to the last field of the same parity. Coefficients are ordered differently in fields and
frames (8.5.6), so the decoded motion is correct, and the detail is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from tests.video.scenes import Picture

SLICE, IDR, SPS = 1, 5, 7
MAIN = 77


class Bits:
    """Bit reader of a NAL unit after its first byte."""

    def __init__(self, unit: bytes) -> None:
        plain = unit[1:].replace(b"\0\0\3", b"\0\0")
        self.rest = "".join(f"{byte:08b}" for byte in plain).rstrip("0")

    def take(self, count: int) -> str:
        """The next `count` bits."""
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self) -> str:
        """The bits of the next Exp-Golomb number."""
        return self.take(2 * self.rest.index("1") + 1)


def decode_number(number: str) -> int:
    """The value of an Exp-Golomb number."""
    return int(number, 2) - 1


def encode_number(number: int) -> str:
    """The bits of `number` in Exp-Golomb code."""
    return f"{number + 1:b}".zfill(2 * (number + 1).bit_length() - 1)


def unit(first: int, bits: str) -> bytes:
    """A NAL unit with its start code and emulation prevention bytes."""
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    body, zeros = bytearray([first]), 0
    for at in range(0, len(padded), 8):
        byte = int(padded[at : at + 8], 2)
        if zeros >= 2 and byte <= 3:
            body.append(3)
            zeros = 0
        body.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\1" + bytes(body)


def units(data: bytes) -> Iterator[bytes]:
    """Split `data` into NAL units at start codes."""
    yield from (part.rstrip(b"\0") for part in data.split(b"\0\0\1")[1:])


class FieldRewriter:
    """Rewrites the headers of progressive pictures to those of fields."""

    def __init__(self) -> None:
        self._frame_num_bits = 4

    def parameters(self, sps: bytes) -> bytes:
        """A parameter set that allows fields, with two reference frames (four fields)."""
        bits = Bits(sps)
        bits.take(16)
        header = f"{MAIN:08b}" + "00000000" + bits.take(8) + bits.number()
        frame_num = bits.number()
        self._frame_num_bits = decode_number(frame_num) + 4
        order = bits.number()
        assert decode_number(order) == 2, "pictures must be displayed in decoding order"
        bits.number()
        header += (
            frame_num + order + encode_number(2) + bits.take(1) + bits.number() + bits.number()
        )
        assert bits.take(1) == "1", "frame_mbs_only_flag"
        bits.take(1)
        return unit(sps[0], header + "0" + "0" + "1" + bits.rest)

    def slice(self, data: bytes, bottom: bool) -> bytes:
        """A slice of a field. The second field of an IDR picture becomes a non-IDR slice."""
        bits = Bits(data)
        header = bits.number() + bits.number() + bits.number() + bits.take(self._frame_num_bits)
        header += "1" + str(int(bottom))
        if data[0] & 31 != IDR or not bottom:
            return unit(data[0], header + bits.rest)
        bits.number()  # idr_pic_id
        bits.take(2)  # dec_ref_pic_marking
        return unit(data[0] & ~31 | SLICE, header + "0" + bits.rest)


def encode_fields(
    pictures: Iterable[Picture], rate: float, gop: int
) -> tuple[StreamInfo, list[Packet]]:
    """Two packets per picture: the top field, and half a frame later the bottom field."""
    packets: list[Packet] = []
    encoders: list[CameraEncoder] = []
    rewriter = FieldRewriter()
    for index, picture in enumerate(pictures):
        height, width, _ = picture.shape
        if not encoders:
            profile = EncoderProfile(gop=gop, preset="ultrafast")
            encoders = [CameraEncoder(width, height // 2, rate, profile) for _ in range(2)]
        for bottom, encoder in enumerate(encoders):
            time = (index + bottom / 2) / rate
            for packet in encoder.encode(picture[bottom::2], time, time):
                data = b"".join(_rewrite(packet.data, rewriter, bool(bottom)))
                packets.append(replace(packet, data=data, keyframe=packet.keyframe and not bottom))
    info = replace(encoders[0].info, height=height)
    return replace(info, extradata=b"".join(_rewrite(info.extradata, rewriter, False))), packets


def _rewrite(data: bytes, rewriter: FieldRewriter, bottom: bool) -> Iterator[bytes]:
    for nal in units(data):
        kind = nal[0] & 31
        if kind in (SLICE, IDR):
            yield rewriter.slice(nal, bottom)
        elif not bottom:
            yield rewriter.parameters(nal) if kind == SPS else b"\0\0\0\1" + nal
