"""Coding patches as a mosaic, and refusing what is none."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from codecsight.patches.codec import MAX_MOSAIC_BYTES, PatchCodec, PatchError, mosaic_shape

CELL = 16


def patches(kept: int, frames: int = 2, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth patches, each of its own colour."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(40, 200, (kept, frames, 3, 1, 1))
    slope = np.add.outer(np.arange(CELL), np.arange(CELL))
    return (colour + slope).astype(np.uint8)


def picture(width: int, height: int, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, format=kind)
    return out.getvalue()


@given(st.integers(0, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_lossless_gives_back_every_pixel(kept: int, frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (kept, frames, 3, CELL, CELL), np.uint8)
    codec = PatchCodec("lossless")
    assert np.array_equal(codec.decode(codec.encode(cells), kept, frames, CELL), cells)


def test_jpeg_is_near_the_original_and_does_not_bleed_between_strangers() -> None:
    cells = patches(12)
    codec = PatchCodec("jpeg", quality=90)
    decoded = codec.decode(codec.encode(cells), 12, 2, CELL)
    assert decoded.shape == cells.shape
    assert np.abs(decoded.astype(int) - cells).mean() < 2
    assert np.abs(decoded.astype(int) - cells).max() < 12


def test_no_cells_are_no_bytes() -> None:
    codec = PatchCodec()
    assert codec.encode(patches(0)) == b""
    assert codec.decode(b"", 0, 2, CELL).shape == (0, 2, 3, CELL, CELL)


@given(st.integers(0, 5000))
def test_the_mosaic_is_nearly_square_and_wastes_less_than_a_row(tiles: int) -> None:
    rows, cols = mosaic_shape(tiles)
    assert rows * cols >= tiles
    assert rows * cols - tiles < cols
    assert cols - rows <= max(1, cols // 2)


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(PatchError, match="'h264'; known: jpeg, lossless"):
        PatchCodec("h264")


class TestBounds:
    def test_a_jpeg_too_large_for_the_wire_loses_quality_instead(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (400, 2, 3, 32, 32), np.uint8)
        data = PatchCodec("jpeg", quality=95).encode(noise)
        assert len(data) <= MAX_MOSAIC_BYTES
        assert PatchCodec("jpeg").decode(data, 400, 2, 32).shape == noise.shape

    def test_a_lossless_mosaic_too_large_for_the_wire_says_what_to_do(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (400, 2, 3, 32, 32), np.uint8)
        with pytest.raises(PatchError, match="use the jpeg codec"):
            PatchCodec("lossless").encode(noise)

    def test_too_many_bytes_are_not_even_opened(self) -> None:
        with pytest.raises(PatchError, match="exceeds"):
            PatchCodec().decode(b"\xff" * (MAX_MOSAIC_BYTES + 1), 4, 2, CELL)

    @pytest.mark.parametrize("size", [(CELL * 3, CELL * 2), (20000, 20000), (1, 1)])
    def test_a_mosaic_of_another_size_is_refused_by_its_header(self, size: tuple[int, int]) -> None:
        header = picture(*size) if size[0] < 1000 else _claiming(*size)
        with pytest.raises(PatchError, match=r"asks for 32x32 RGB|no whole jpeg"):
            PatchCodec("jpeg").decode(header, 2, 2, CELL)

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_other_colours_than_rgb_are_refused(self, mode: str) -> None:
        with pytest.raises(PatchError, match=mode):
            PatchCodec("jpeg").decode(picture(32, 32, mode), 2, 2, CELL)

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP"])
    def test_another_format_under_the_same_name_is_refused(self, kind: str) -> None:
        with pytest.raises(PatchError, match="no whole jpeg picture"):
            PatchCodec("jpeg").decode(picture(32, 32, kind=kind), 2, 2, CELL)

    def test_bytes_where_nothing_was_kept_are_refused(self) -> None:
        with pytest.raises(PatchError, match="no kept cell"):
            PatchCodec().decode(b"x", 0, 2, CELL)


@pytest.mark.parametrize("kind", ["jpeg", "lossless"])
class TestDamage:
    def test_a_truncated_mosaic_is_refused(self, kind: str) -> None:
        codec = PatchCodec(kind)
        data = codec.encode(patches(6))
        for length in range(0, len(data) - 40, 7):
            with pytest.raises(PatchError):
                codec.decode(data[:length], 6, 2, CELL)

    @given(changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1))
    @settings(deadline=None, max_examples=200)
    def test_flipped_bytes_give_patches_or_a_patch_error(
        self, kind: str, changes: list[tuple[int, int]]
    ) -> None:
        codec = PatchCodec(kind)
        data = bytearray(codec.encode(patches(6)))
        for at, value in changes:
            data[at % len(data)] = value
        with contextlib.suppress(PatchError):
            assert codec.decode(bytes(data), 6, 2, CELL).shape == (6, 2, 3, CELL, CELL)

    @given(data=st.binary(max_size=400))
    @settings(deadline=None)
    def test_noise_is_refused(self, kind: str, data: bytes) -> None:
        with pytest.raises(PatchError):
            PatchCodec(kind).decode(data, 6, 2, CELL)


def _claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header claims a huge picture."""
    data = bytearray(picture(32, 32))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)
