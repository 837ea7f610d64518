"""Synthetic slots, and the CUDA device."""

from collections.abc import Callable

import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Slot
from codecsight.models.tiny import random_model
from tests.engine.conftest import slot_maker


@pytest.fixture(scope="session")
def grid() -> PatchGrid:
    return PatchGrid(random_model().grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)


@pytest.fixture(scope="session")
def slot_at(grid: PatchGrid) -> Callable[..., Slot]:
    """The same as in the engine's tests."""
    return slot_maker(grid)


@pytest.fixture
def cuda() -> str:
    """The CUDA device; tests that use it are skipped without one."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return "cuda"
