"""Pictures whose decoding would take long are rejected by their structure, before decoding."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from codecsight.patches.codec import MAX_MOSAIC_BYTES, PatchCodec, PatchError
from codecsight.patches.structure import jpeg_problem, png_problem

CELL = 16
SIDE = 240  # pixels of a square mosaic of 15 x 15 tiles


def coded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format=kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def with_scans(count: int) -> bytes:
    """A valid progressive JPEG in which the last scan occurs `count` times."""
    flat = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (90, 120, 60)).save(flat, format="JPEG", progressive=True)
    data = flat.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def rejected(codec: str, data: bytes) -> str:
    with pytest.raises(PatchError) as error:
        PatchCodec(codec).decode(data, 225, 1, CELL)
    return str(error.value)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.parametrize("quality", [5, 60, 90, 100])
def test_what_our_encoder_writes_is_accepted(quality: int) -> None:
    assert not jpeg_problem(coded("JPEG", quality=quality, subsampling="4:4:4"))
    assert not png_problem(coded("PNG"))


def test_a_jpeg_of_thousands_of_scans_is_rejected_without_decoding_one() -> None:
    few = with_scans(3)
    with Image.open(io.BytesIO(few)) as picture:
        picture.load()  # it is valid, only slow
    scan = (len(with_scans(4)) - len(few)) or 1
    bomb = with_scans((MAX_MOSAIC_BYTES - len(few)) // scan)
    assert bomb.count(b"\xff\xda") > 1000
    assert len(bomb) <= MAX_MOSAIC_BYTES
    assert "only baseline JPEG" in rejected("jpeg", bomb)


def test_a_second_scan_of_a_baseline_jpeg_is_rejected() -> None:
    data = coded("JPEG")
    scan = data[data.index(b"\xff\xda") : -2]
    assert "one scan is decoded" in rejected("jpeg", data[:-2] + scan + b"\xff\xd9")


def test_a_jpeg_of_thousands_of_segments_is_rejected() -> None:
    segments = b"\xff\xe0\x00\x04ab" * 50_000
    data = coded("JPEG")
    assert "more than 32 segments" in rejected("jpeg", data[:2] + segments + data[2:])
    exif = b"\xff\xe1\x00\x04ab"
    assert "segment 0xe1" in rejected("jpeg", data[:2] + exif + data[2:])


def test_a_png_with_anything_but_pixels_is_rejected() -> None:
    data = coded("PNG")
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**7)))
    header = 8 + 25
    message = rejected("lossless", data[:header] + profile + data[header:])
    assert "iCCP" in message


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_cut_picture_is_accepted_or_raises_another_error(kind: str) -> None:
    data, problem = coded(kind), {"JPEG": jpeg_problem, "PNG": png_problem}[kind]
    for length in (0, 1, 2, 5, 20, 33, 100, len(data) // 2, len(data) - 2):
        assert problem(data[:length])
    assert "not a complete" in rejected(
        "jpeg" if kind == "JPEG" else "lossless", data[: len(data) // 2]
    )
