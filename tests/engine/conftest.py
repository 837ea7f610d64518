"""A model with random weights and synthetic slots: for mechanisms, not for right answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine import Engine, EngineConfig
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.tiny import random_model


@pytest.fixture(scope="session")
def model() -> Qwen3VL:
    return random_model(seed=1)


@pytest.fixture(scope="session")
def grid(model: Qwen3VL) -> PatchGrid:
    return PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)


@pytest.fixture(scope="session")
def slot_at(grid: PatchGrid) -> Callable[..., Slot]:
    return slot_maker(grid)


def slot_maker(grid: PatchGrid) -> Callable[..., Slot]:
    """Makes the slot that starts at a second of the stream: an anchor at 0, else with 40% of the
    cells, or the share `keep`.
    """

    def make(second: float, keep: float | None = None, seed: int = 0) -> Slot:
        random = np.random.default_rng([seed, int(second)])
        share = keep if keep is not None else (1.0 if second == 0 else 0.4)
        kept = random.random((grid.rows, grid.cols)) < share
        count = int(kept.sum())
        cell, frames = grid.spec.cell, grid.spec.frames
        return Slot(
            kind=SlotKind.ANCHOR if kept.all() else SlotKind.DELTA,
            kept=kept,
            patches=random.integers(0, 256, (count, frames, 3, cell, cell), dtype=np.uint8),
            reasons=np.ones(count, np.uint8),
            times=tuple(second + step / 2 for step in range(frames)),
            capture_time=1_000_000.0 + second,
        )

    return make


@pytest.fixture
def engine_with(model: Qwen3VL) -> Callable[..., Engine]:
    def make(**config: Any) -> Engine:
        return Engine(model, EngineConfig(**config))

    return make
