"""Fixtures shared by the tests of change detection."""

import numpy as np
import pytest

from codecsight.core.grid import GridSpec, PatchGrid
from tests.change.synthetic_camera import CELL, SyntheticCamera


@pytest.fixture
def camera() -> SyntheticCamera:
    grid = PatchGrid(GridSpec(cell=CELL, frames=2, rate=2.0, max_cells=48), rows=6, cols=8)
    coarse = np.random.default_rng(1).integers(60, 190, (grid.height // 8, grid.width // 8, 3))
    background = coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    return SyntheticCamera(grid, background)
