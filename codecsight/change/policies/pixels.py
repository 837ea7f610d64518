"""Pixels alone: for codecs that say nothing, and to measure what the codec adds."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.cell_difference import Sensitivity, changed, compare
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason

ALONE = Sensitivity(floor=5.0, noise=6.0, share=0.02)
"""Thresholds that held recall at .93 or more over noise, exposure ramps, shake and pan."""


class PixelPolicy:
    """A cell is kept when it differs from the content last shipped for it."""

    anchor_threshold = 0.5
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, grid: PatchGrid, sensitivity: Sensitivity = ALONE) -> None:
        self._grid = grid
        self._sensitivity = sensitivity

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Pixels decide; the codec is not asked."""

    def on_sample(self) -> None:
        """Not needed."""

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Every cell whose pixels changed."""
        pairs = zip(pictures, shipped, strict=True)
        differences = [compare(Picture(new), old, self._grid) for new, old in pairs]
        return changed(differences, self._sensitivity) * np.uint8(Reason.PIXELS)

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """Nothing is remembered between slots but what was shipped."""
