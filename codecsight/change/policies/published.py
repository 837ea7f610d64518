"""The rule of the published CodecSight, as a baseline to measure against."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.evidence import CodecEvidence
from codecsight.change.measurement.yuv_planes import Mask
from codecsight.change.policies.pixels import PixelPolicy
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason


class PublishedPolicy:
    """Keeps a cell from the first frame in which one of its blocks moves by `tau` pixels or more,
    or is coded intra, until the next anchor (arXiv 2604.06036v4, Eq. 3 to 5).

    The rule reads no pixels. But where the codec can't tell what moved (no vectors in HEVC, MJPEG
    or all-intra streams, damage), pixels decide instead: the rule alone would keep nothing or all.
    """

    anchor_threshold = 1.0
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, grid: PatchGrid, tau: float = 0.5) -> None:
        self._tau = tau
        self._evidence = CodecEvidence(grid)
        self._pixels = PixelPolicy(grid)

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Add a frame's motion to the union since the anchor."""
        self._evidence.observe(signals, width, height)

    def on_sample(self) -> None:
        """Not needed."""

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Keep every cell that was active since the anchor; without motion, every cell whose pixels
        differ from what was shipped.
        """
        cells = self._evidence.cells()
        if cells is None:
            return self._pixels.decide(pictures, shipped)
        moved = cells.peak_motion >= self._tau
        intra = np.where(cells.intra > 0, np.uint8(Reason.INTRA), np.uint8(0))
        return np.where(moved, np.uint8(Reason.MOTION), intra)

    def ignore(self, mask: Mask) -> None:
        """Pass the mask on to the pixels: the rule itself reads none."""
        self._pixels.ignore(mask)

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:  # noqa: ARG002
        """Reset the union."""
        self._evidence.clear()
