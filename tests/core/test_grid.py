"""Fitting a cell grid to a picture, and the fingerprint of a grid specification."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.core.grid import GridSpec


def spec(max_cells: int = 48) -> GridSpec:
    return GridSpec(cell=32, frames=2, rate=2.0, max_cells=max_cells)


@pytest.mark.parametrize(
    ("width", "height", "max_cells", "shape"),
    [
        (1920, 1080, 144, (9, 16)),
        (1920, 1080, 48, (5, 9)),
        (768, 576, 48, (6, 8)),
        (1080, 1920, 144, (16, 9)),
        (640, 640, 1, (1, 1)),
        (4000, 20, 48, (1, 48)),
        (20, 4000, 48, (48, 1)),
    ],
)
def test_cells_are_nearly_square_in_the_source(
    width: int, height: int, max_cells: int, shape: tuple[int, int]
) -> None:
    grid = spec(max_cells).fit(width, height)
    assert (grid.rows, grid.cols) == shape


@given(st.integers(16, 8192), st.integers(16, 8192), st.integers(1, 4096))
def test_a_grid_never_has_more_than_max_cells(width: int, height: int, max_cells: int) -> None:
    grid = spec(max_cells).fit(width, height)
    assert 1 <= grid.cells <= max_cells
    assert min(grid.rows, grid.cols) >= 1


@given(st.floats(0.4, 2.5), st.integers(40, 2000))
def test_a_usual_aspect_uses_70_percent_of_the_cells_with_little_distortion(
    aspect: float, max_cells: int
) -> None:
    grid = spec(max_cells).fit(round(1000 * aspect), 1000)
    assert grid.cells >= 0.7 * max_cells
    assert abs(math.log(grid.cols / grid.rows / aspect)) < math.log(1.25)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 640)])
def test_a_square_specification_fits_every_picture_to_a_square(width: int, height: int) -> None:
    grid = GridSpec(cell=28, frames=1, rate=2.0, max_cells=16, square=True).fit(width, height)
    assert (grid.rows, grid.cols) == (4, 4)


def test_the_input_size_is_the_cell_count_times_the_cell_side() -> None:
    grid = spec(144).fit(1920, 1080)
    assert (grid.width, grid.height, grid.cells) == (512, 288, 144)
    assert grid.spec.slot_seconds == 1.0


def test_fingerprints_differ_if_any_field_differs() -> None:
    specs = [
        GridSpec(32, 2, 2.0, 48),
        GridSpec(28, 2, 2.0, 48),
        GridSpec(32, 1, 2.0, 48),
        GridSpec(32, 2, 1.0, 48),
        GridSpec(32, 2, 2.0, 49),
        GridSpec(32, 2, 2.0, 48, square=True),
    ]
    assert len({one.fingerprint for one in specs}) == len(specs)
    assert specs[0].fingerprint == GridSpec(32, 2, 2.0, 48).fingerprint
