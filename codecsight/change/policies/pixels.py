"""Pixel policy: for codecs without motion signals, and to measure what the signals add."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.cell_difference import Sensitivity, changed_in_any, compare
from codecsight.change.measurement.yuv_planes import Mask, Picture
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason

PIXELS_ONLY = Sensitivity(min_difference=5.0, noise_factor=6.0, min_share=0.02)
"""Thresholds where pixels decide alone. Recall was .93 or more over noise, exposure ramps, shake
and pan.
"""


class PixelPolicy:
    """Keeps a cell when it differs from the content last shipped for it."""

    anchor_threshold = 0.5
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, grid: PatchGrid, sensitivity: Sensitivity = PIXELS_ONLY) -> None:
        self._grid = grid
        self._sensitivity = sensitivity
        self._ignored: Mask | None = None

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Ignore the codec's signals."""

    def on_sample(self) -> None:
        """Not needed."""

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Keep every cell whose pixels changed."""
        pairs = zip(pictures, shipped, strict=True)
        differences = [
            compare(Picture(new), old, self._grid, ignored=self._ignored) for new, old in pairs
        ]
        return changed_in_any(differences, self._sensitivity) * np.uint8(Reason.PIXELS)

    def ignore(self, mask: Mask) -> None:
        """Disregard changes of these pixels."""
        self._ignored = mask

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """Not needed: the policy has no state."""
