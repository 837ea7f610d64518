"""Cutting cells out of pictures and pasting them back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codecsight.patches.cut import cut, paste

shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.sampled_from([8, 16])
)


def scene(
    frames: int, rows: int, cols: int, cell: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (frames, rows * cell, cols * cell, 3), np.uint8)
    return pictures, rng.random((rows, cols)) < 0.4


@given(shapes, st.integers(0, 2**32 - 1))
def test_a_patch_has_the_pixels_of_its_cell(shape: tuple[int, int, int, int], seed: int) -> None:
    cell = shape[3]
    pictures, kept = scene(*shape, seed)
    patches = cut(pictures, kept)
    assert patches.shape == (kept.sum(), shape[0], 3, cell, cell)
    for patch, (row, col) in zip(patches, np.argwhere(kept), strict=True):
        pixels = pictures[:, row * cell : (row + 1) * cell, col * cell : (col + 1) * cell]
        assert np.array_equal(patch, pixels.transpose(0, 3, 1, 2))


@given(shapes, st.integers(0, 2**32 - 1))
@settings(deadline=None)  # the first call compiles
def test_paste_restores_the_kept_cells_and_changes_no_other(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    pictures, kept = scene(*shape, seed)
    target = np.zeros_like(pictures)
    paste(target, kept, cut(pictures, kept))
    kept_pixels = kept.repeat(shape[3], axis=0).repeat(shape[3], axis=1)
    assert np.array_equal(target, pictures * kept_pixels[None, :, :, None])
