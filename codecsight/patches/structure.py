"""Checks of a coded picture's structure, before it is decoded.

A decoder's work is not bounded by a picture's size: a progressive JPEG of 960 KB may hold 80,000
scans, each of which goes over all pixels, and takes seconds. Mosaics need none of that. So only
what our own encoder writes is accepted, and the work is at most one pass over bytes and pixels:

    JPEG    baseline, one scan: SOI, few segments (APP0, DQT, SOF0, DHT, DRI), SOS, data, EOI
    PNG     IHDR, IDAT ..., IEND: no text, profiles or frames, which may be compressed bombs
"""

import re
import struct
from collections.abc import Iterator

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOF0, _SOS = 0xC0, 0xDA
_SEGMENTS = {_SOF0: "SOF0", _SOS: "SOS", 0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xE0: "APP0"}
_MAX_SEGMENTS = 32
_MARKER_IN_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # no stuffed byte, no restart marker
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


def jpeg_problem(data: bytes) -> str:
    """Why a JPEG is not accepted; empty if it is."""
    if not data.startswith(_SOI):
        return "it does not begin like a JPEG"
    kinds: list[int] = []
    for kind, end in _jpeg_segments(data):
        if kind not in _SEGMENTS:
            return f"it has a segment 0x{kind:02x}; only baseline JPEG without metadata is decoded"
        kinds.append(kind)
        if len(kinds) > _MAX_SEGMENTS:
            return f"it has more than {_MAX_SEGMENTS} segments"
        if kind == _SOS:
            frames = kinds.count(_SOF0)
            return _scan_problem(data, end) if frames == 1 else f"it has {frames} frame headers"
    return "its header is cut off"


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and end of each segment, up to where the data does not continue with a segment."""
    start = len(_SOI)
    while start + 4 <= len(data) and data[start] == 0xFF:
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        end = start + 2 + length
        if length < 2 or end > len(data):
            return
        yield data[start + 1], end
        start = end


def _scan_problem(data: bytes, start: int) -> str:
    """What is wrong with the entropy-coded data, which must be followed by the end of the picture,
    not by another scan.
    """
    marker = _MARKER_IN_DATA.search(data, start)
    if marker is None:
        return "it is cut off"
    if marker.group() != _EOI:
        return f"its scan is followed by 0x{marker.group()[1]:02x}; one scan is decoded"
    return ""


def png_problem(data: bytes) -> str:
    """Why a PNG is not accepted; empty if it is."""
    if not data.startswith(_PNG_SIGNATURE):
        return "it does not begin like a PNG"
    start, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        if start + 12 > len(data):
            return "it is cut off"
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        if kind not in _PNG_CHUNKS:
            return f"it has a chunk {kind!r}; only IHDR, IDAT and IEND are decoded"
        start += 12 + length
    return ""
