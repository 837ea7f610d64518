"""PatchCodec: coding patches as a mosaic, and rejecting invalid ones."""

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
    """Smooth patches with a random colour each."""
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
def test_lossless_preserves_every_pixel(kept: int, frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (kept, frames, 3, CELL, CELL), np.uint8)
    codec = PatchCodec("lossless")
    assert np.array_equal(codec.decode(codec.encode(cells), kept, frames, CELL), cells)


def test_jpeg_is_close_to_the_original_without_bleeding_between_tiles() -> None:
    cells = patches(12)
    codec = PatchCodec("jpeg", quality=90)
    decoded = codec.decode(codec.encode(cells), 12, 2, CELL)
    assert decoded.shape == cells.shape
    assert np.abs(decoded.astype(int) - cells).mean() < 2
    assert np.abs(decoded.astype(int) - cells).max() < 12


def test_no_patches_give_no_bytes() -> None:
    codec = PatchCodec()
    assert codec.encode(patches(0)) == b""
    assert codec.decode(b"", 0, 2, CELL).shape == (0, 2, 3, CELL, CELL)


@given(st.integers(0, 5000))
def test_the_mosaic_is_nearly_square_and_wastes_less_than_a_row(tiles: int) -> None:
    rows, cols = mosaic_shape(tiles)
    assert rows * cols >= tiles
    assert rows * cols - tiles < cols
    assert cols - rows <= max(1, cols // 2)


def test_an_unknown_codec_is_rejected_by_name() -> None:
    with pytest.raises(PatchError, match="'h264'; known: jpeg, lossless"):
        PatchCodec("h264")


class TestBounds:
    def test_the_quality_of_a_jpeg_is_lowered_until_it_fits(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (400, 2, 3, 32, 32), np.uint8)
        data = PatchCodec("jpeg", quality=95).encode(noise)
        assert len(data) <= MAX_MOSAIC_BYTES
        assert PatchCodec("jpeg").decode(data, 400, 2, 32).shape == noise.shape

    def test_a_lossless_mosaic_that_does_not_fit_is_an_error_with_a_remedy(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (400, 2, 3, 32, 32), np.uint8)
        with pytest.raises(PatchError, match="use the jpeg codec"):
            PatchCodec("lossless").encode(noise)

    def test_too_many_bytes_are_rejected_unopened(self) -> None:
        with pytest.raises(PatchError, match="exceeds"):
            PatchCodec().decode(b"\xff" * (MAX_MOSAIC_BYTES + 1), 4, 2, CELL)

    @pytest.mark.parametrize("size", [(CELL * 3, CELL * 2), (20000, 20000), (1, 1)])
    def test_a_mosaic_of_another_size_is_rejected_by_its_header(
        self, size: tuple[int, int]
    ) -> None:
        header = picture(*size) if size[0] < 1000 else _jpeg_with_size(*size)
        with pytest.raises(PatchError, match=r"needs 32x32 RGB|not a complete jpeg"):
            PatchCodec("jpeg").decode(header, 2, 2, CELL)

    # Pillow marks CMYK with a segment that colour pictures don't have.
    @pytest.mark.parametrize(("mode", "reason"), [("L", "L, but"), ("CMYK", "segment 0xee")])
    def test_other_colour_modes_are_rejected(self, mode: str, reason: str) -> None:
        with pytest.raises(PatchError, match=reason):
            PatchCodec("jpeg").decode(picture(32, 32, mode), 2, 2, CELL)

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP"])
    def test_another_format_is_rejected(self, kind: str) -> None:
        with pytest.raises(PatchError, match="not a complete jpeg picture"):
            PatchCodec("jpeg").decode(picture(32, 32, kind=kind), 2, 2, CELL)

    def test_bytes_without_a_kept_cell_are_rejected(self) -> None:
        with pytest.raises(PatchError, match="no kept cell"):
            PatchCodec().decode(b"x", 0, 2, CELL)


@pytest.mark.parametrize("kind", ["jpeg", "lossless"])
class TestCorruption:
    def test_a_truncated_mosaic_is_rejected(self, kind: str) -> None:
        codec = PatchCodec(kind)
        data = codec.encode(patches(6))
        for length in range(0, len(data) - 40, 7):
            with pytest.raises(PatchError):
                codec.decode(data[:length], 6, 2, CELL)

    @given(changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1))
    @settings(deadline=None, max_examples=200)
    def test_changed_bytes_give_patches_or_a_patch_error(
        self, kind: str, changes: list[tuple[int, int]]
    ) -> None:
        codec = PatchCodec(kind)
        data = bytearray(codec.encode(patches(6)))
        for position, value in changes:
            data[position % len(data)] = value
        with contextlib.suppress(PatchError):
            assert codec.decode(bytes(data), 6, 2, CELL).shape == (6, 2, 3, CELL, CELL)

    @given(data=st.binary(max_size=400))
    @settings(deadline=None)
    def test_random_bytes_are_rejected(self, kind: str, data: bytes) -> None:
        with pytest.raises(PatchError):
            PatchCodec(kind).decode(data, 6, 2, CELL)


def _jpeg_with_size(width: int, height: int) -> bytes:
    """A small JPEG with the size of a huge picture in its header."""
    data = bytearray(picture(32, 32))
    offset = data.index(b"\xff\xc0") + 5
    data[offset : offset + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)
