"""A camera that sends each field as a picture of its own (PAFF), which no free encoder does.

Every field is really encoded, by an encoder that believes it sees small whole pictures; then the
headers are rewritten to tell what they are (ITU-T H.264, 7.3.2.1, 7.3.3). A field refers to the
field of the same parity before it, as these do. Only the order of coefficients differs between
fields and frames (8.5.6), so that motion is right, and detail is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from tests.video.scenes import Picture

SLICE, IDR, SPS = 1, 5, 7
MAIN = 77


class Bits:
    """The bits of a NAL unit after its first byte, read from the front."""

    def __init__(self, unit: bytes) -> None:
        plain = unit[1:].replace(b"\0\0\3", b"\0\0")
        self.rest = "".join(f"{byte:08b}" for byte in plain).rstrip("0")

    def take(self, count: int) -> str:
        """So many of them."""
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self) -> str:
        """An Exp-Golomb number, as it is written."""
        return self.take(2 * self.rest.index("1") + 1)


def value(number: str) -> int:
    """What an Exp-Golomb number says."""
    return int(number, 2) - 1


def written(number: int) -> str:
    """The Exp-Golomb number that says it."""
    return f"{number + 1:b}".zfill(2 * (number + 1).bit_length() - 1)


def unit(first: int, bits: str) -> bytes:
    """A NAL unit with its start code, and with what keeps start codes out of it."""
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
    """The NAL units between start codes."""
    yield from (part.rstrip(b"\0") for part in data.split(b"\0\0\1")[1:])


class Fields:
    """Rewrites what an encoder says of pictures to what is true of fields."""

    def __init__(self) -> None:
        self._counted = 4

    def parameters(self, sps: bytes) -> bytes:
        """A sequence whose pictures may be fields, of which the last four are referred to."""
        bits = Bits(sps)
        bits.take(16)
        said = f"{MAIN:08b}" + "00000000" + bits.take(8) + bits.number()
        frame_num = bits.number()
        self._counted = value(frame_num) + 4
        order = bits.number()
        assert value(order) == 2, "pictures are to be shown as they come"
        bits.number()
        said += frame_num + order + written(2) + bits.take(1) + bits.number() + bits.number()
        assert bits.take(1) == "1", "frame_mbs_only_flag"
        bits.take(1)
        return unit(sps[0], said + "0" + "0" + "1" + bits.rest)

    def slice(self, data: bytes, bottom: bool) -> bytes:
        """A slice of a field; the second field of an IDR picture is none itself."""
        bits = Bits(data)
        said = bits.number() + bits.number() + bits.number() + bits.take(self._counted)
        said += "1" + str(int(bottom))
        if data[0] & 31 != IDR or not bottom:
            return unit(data[0], said + bits.rest)
        bits.number()  # idr_pic_id
        bits.take(2)  # what becomes of pictures before it
        return unit(data[0] & ~31 | SLICE, said + "0" + bits.rest)


def film(shown: Iterable[Picture], rate: float, gop: int) -> tuple[StreamInfo, list[Packet]]:
    """Two packets for each picture: its upper field, and half a frame later its lower one."""
    packets: list[Packet] = []
    encoders: list[CameraEncoder] = []
    fields = Fields()
    for index, picture in enumerate(shown):
        height, width, _ = picture.shape
        if not encoders:
            plain = EncoderProfile(gop=gop, preset="ultrafast")
            encoders = [CameraEncoder(width, height // 2, rate, plain) for _ in range(2)]
        for bottom, encoder in enumerate(encoders):
            time = (index + bottom / 2) / rate
            for packet in encoder.encode(picture[bottom::2], time, time):
                data = b"".join(_rewritten(packet.data, fields, bool(bottom)))
                packets.append(replace(packet, data=data, keyframe=packet.keyframe and not bottom))
    info = replace(encoders[0].info, height=height)
    return replace(info, extradata=b"".join(_rewritten(info.extradata, fields, False))), packets


def _rewritten(data: bytes, fields: Fields, bottom: bool) -> Iterator[bytes]:
    for each in units(data):
        kind = each[0] & 31
        if kind in (SLICE, IDR):
            yield fields.slice(each, bottom)
        elif not bottom:
            yield fields.parameters(each) if kind == SPS else b"\0\0\0\1" + each
