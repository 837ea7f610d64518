"""Projection of macroblock values to cells."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codecsight.change.measurement.projection import projection
from codecsight.core.grid import GridSpec, PatchGrid


def patch_grid(rows: int, cols: int) -> PatchGrid:
    return PatchGrid(GridSpec(32, 2, 2.0, 4096), rows, cols)


def test_a_moving_block_marks_every_cell_it_touches() -> None:
    # 4 blocks of 16 px over 2 cells of 32 px, in a picture 24 px high: block 1 spans 16..32,
    # and the cells' border is at 12 px, so block 0 touches both rows of cells.
    to_cells = projection((2, 4), 16, (24, 64), patch_grid(2, 2))
    blocks = np.zeros((2, 4), np.float32)
    blocks[0, 1] = 3.0
    assert to_cells.peak(blocks).tolist() == [[3.0, 0.0], [3.0, 0.0]]


def test_blocks_beyond_the_picture_count_by_their_visible_area() -> None:
    # 1080 lines are coded as 68 rows of 16: only 8 lines of the last row are in the picture.
    to_cells = projection((68, 120), 16, (1080, 1920), patch_grid(9, 16))
    blocks = np.zeros((68, 120), np.float32)
    blocks[67] = 1.0
    assert np.allclose(to_cells.mean(blocks)[8], 8 / 120, atol=1e-6)
    assert not to_cells.mean(blocks)[:8].any()


def test_more_cells_than_blocks_share_the_blocks() -> None:
    to_cells = projection((1, 1), 16, (16, 16), patch_grid(3, 3))
    assert to_cells.peak(np.full((1, 1), 2.0, np.float32)).tolist() == [[2.0] * 3] * 3


def test_the_projection_of_two_grids_is_cached() -> None:
    first = projection((36, 48), 16, (576, 768), patch_grid(6, 8))
    assert projection((36, 48), 16, (576, 768), patch_grid(6, 8)) is first


sizes = st.tuples(st.integers(16, 400), st.integers(16, 400))


@given(sizes, st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_projection_agrees_with_a_reduction_over_pixels(
    size: tuple[int, int], rows: int, cols: int, seed: int
) -> None:
    height, width = size[0] // rows * rows or rows, size[1] // cols * cols or cols
    shape = (-(-height // 16), -(-width // 16))
    blocks = np.random.default_rng(seed).random(shape, np.float32)
    to_cells = projection(shape, 16, (height, width), patch_grid(rows, cols))
    pixels = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
    cells = pixels.reshape(rows, height // rows, cols, width // cols)
    assert np.allclose(to_cells.peak(blocks), cells.max(axis=(1, 3)))
    assert np.allclose(to_cells.mean(blocks), cells.mean(axis=(1, 3)), atol=1e-5)
