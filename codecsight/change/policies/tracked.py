"""The default: the codec proposes, the pixels confirm."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.evidence import CellEvidence, CodecEvidence
from codecsight.change.grid import PatchGrid
from codecsight.change.pixels import Sensitivity, compare
from codecsight.change.policies.pixels import ALONE
from codecsight.change.policies.policy import Reasons
from codecsight.change.slot import Reason
from codecsight.video.frame import FrameSignals

CONFIRM = Sensitivity(floor=3.0, noise=4.5, share=0.015)
"""What pixels must show where the codec already speaks of motion."""


class TrackedPolicy:
    """A cell is kept when its pixels clearly differ from what was last shipped for it, or when
    they differ a little and the codec saw it move or coded it anew since the last slot.

    Vectors alone call a whole noisy or panning picture changed, pixels alone need a threshold that
    small and low-contrast things stay under: each vouches for the other. Where the codec says
    nothing, the pixels decide alone.
    """

    whole_above = 0.5

    def __init__(self, grid: PatchGrid, tau: float = 0.5) -> None:
        self._grid = grid
        self._tau = tau
        self._evidence = CodecEvidence(grid)

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Gather what the codec says between two slots."""
        self._evidence.observe(signals, width, height)

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Clear changes, and proposed ones that are confirmed."""
        differences = compare(pictures, shipped, self._grid)
        clear = differences.changed(ALONE)
        reasons = clear * np.uint8(Reason.PIXELS)
        evidence = self._evidence.cells()
        self._evidence.clear()
        if evidence is None:
            return reasons
        seen = clear | differences.changed(CONFIRM)
        intra, moved = seen & (evidence.intra > 0), seen & self._moved(evidence)
        reasons[intra] = Reason.INTRA
        reasons[moved] = Reason.MOTION
        return reasons

    def anchored(self) -> None:
        """Everything was shipped: the next slot starts without proposals."""
        self._evidence.clear()

    def _moved(self, evidence: CellEvidence) -> NDArray[np.bool_]:
        """Fast in one frame, or slow in many: a walker far away moves 0.3 px a frame."""
        far: NDArray[np.bool_] = evidence.shift >= 2 * self._tau
        return far | (evidence.motion >= self._tau)
