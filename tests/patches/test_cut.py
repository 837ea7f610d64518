"""Cutting pictures into cells and putting them back."""

import numpy as np
from hypothesis import given
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
def test_a_patch_is_the_picture_at_its_cell(shape: tuple[int, int, int, int], seed: int) -> None:
    cell = shape[3]
    pictures, kept = scene(*shape, seed)
    patches = cut(pictures, kept)
    assert patches.shape == (kept.sum(), shape[0], 3, cell, cell)
    for patch, (row, col) in zip(patches, np.argwhere(kept), strict=True):
        at = pictures[:, row * cell : (row + 1) * cell, col * cell : (col + 1) * cell]
        assert np.array_equal(patch, at.transpose(0, 3, 1, 2))


@given(shapes, st.integers(0, 2**32 - 1))
def test_pasting_restores_the_kept_cells_and_touches_no_other(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    pictures, kept = scene(*shape, seed)
    canvas = np.zeros_like(pictures)
    paste(canvas, kept, cut(pictures, kept))
    whole = kept.repeat(shape[3], axis=0).repeat(shape[3], axis=1)
    assert np.array_equal(canvas, pictures * whole[None, :, :, None])
