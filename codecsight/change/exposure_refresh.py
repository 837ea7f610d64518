"""Refresh of cells that were shipped under another exposure than the picture has now.

A change of exposure is no change of the scene, so that no cell is kept for it. But the cells that
are kept meanwhile are shipped as bright as they are then. When the exposure returns, they stand out
of a picture that was shipped before: a patchwork that no later comparison finds. So they are
shipped again, a few per slot.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.yuv_planes import Mask

_MAX_RATIO = 1.2  # of the brightness now to that when a cell was shipped, or the inverse
_MID_GREY = 128.0  # the level at which an exposure's gain and offset are one ratio
_SLOTS_PER_TURN = 24  # in which all cells can be shipped again
_STEADY_SLOTS = 10  # of the same exposure, before a whole picture is shipped again for it


class ExposureRefresh:
    """Holds, for each of `rows` x `cols` cells, how much brighter the picture is than when the cell
    was shipped (as a logarithm).

    While most cells were shipped under another exposure than now, nothing is refreshed: a passing
    cloud would cost a whole picture, and a part of one is the patchwork that is to be avoided. Only
    an exposure that stays is worth it.
    """

    def __init__(self, rows: int, cols: int) -> None:
        self._brighter: NDArray[np.float64] = np.zeros((rows, cols))
        self._steady_slots = 0

    def reset(self) -> None:
        """Record that every cell was shipped."""
        self._brighter[:] = 0

    def observe(self, exposure: Exposure) -> None:
        """Record how the exposure changed since the slot before."""
        self._steady_slots = self._steady_slots + 1 if exposure.negligible else 0
        if not exposure.negligible:
            ratio = exposure.gain + exposure.offset / _MID_GREY
            self._brighter += np.log(max(ratio, 1 / 255))

    def mark_shipped(self, kept: Mask) -> None:
        """Record that these cells [rows, cols] are shipped now."""
        self._brighter[kept] = 0

    def due(self) -> NDArray[np.intp]:
        """Flat indices of the cells to be shipped again now, those that differ most first."""
        distance = np.abs(self._brighter).ravel()
        differing = np.flatnonzero(distance > np.log(_MAX_RATIO))
        if 2 * differing.size > distance.size and self._steady_slots < _STEADY_SLOTS:
            return differing[:0]
        order = np.argsort(-distance[differing], kind="stable")
        return differing[order][: -(-distance.size // _SLOTS_PER_TURN)]
