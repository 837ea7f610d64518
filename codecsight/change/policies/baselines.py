"""Baseline policies that measure nothing: keep all cells, or random ones."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.yuv_planes import Mask
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason


class EverythingPolicy:
    """Keeps every cell of every slot, like a system without pruning."""

    anchor_threshold = 1.0
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Not needed."""

    def on_sample(self) -> None:
        """Not needed."""

    def decide(
        self,
        pictures: NDArray[np.uint8],  # noqa: ARG002
        shipped: NDArray[np.uint8],  # noqa: ARG002
    ) -> Reasons:
        """Keep all cells."""
        return np.full((self._grid.rows, self._grid.cols), Reason.REFRESH, np.uint8)

    def ignore(self, mask: Mask) -> None:
        """Not needed."""

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """Not needed."""


class RandomPolicy:
    """Keeps a random `share` of the cells, as a control with an equal number of tokens.

    Over many slots exactly `share` of all cells is kept. Equal seeds choose equal cells.
    """

    anchor_threshold = 1.0
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, grid: PatchGrid, share: float = 0.2, seed: int = 0) -> None:
        self._grid = grid
        self._share = share
        self._rng = np.random.default_rng(seed)
        self._carry = 0.0

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Not needed."""

    def on_sample(self) -> None:
        """Not needed."""

    def decide(
        self,
        pictures: NDArray[np.uint8],  # noqa: ARG002
        shipped: NDArray[np.uint8],  # noqa: ARG002
    ) -> Reasons:
        """Keep `share` of the cells, rounded down; the fraction is carried over to the next."""
        self._carry += self._share * self._grid.cells
        count = min(int(self._carry), self._grid.cells)
        self._carry -= count
        reasons = np.zeros(self._grid.cells, np.uint8)
        reasons[self._rng.choice(self._grid.cells, count, replace=False)] = Reason.REFRESH
        return reasons.reshape(self._grid.rows, self._grid.cols)

    def ignore(self, mask: Mask) -> None:
        """Not needed."""

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """Not needed."""
