"""One step of model time for one stream: the cells worth looking at."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

ANCHOR_EVERY = 4
"""Default number of slots from one anchor to the next; docs/accuracy.md says why."""


class SlotKind(IntEnum):
    """ANCHOR holds every cell, DELTA only those that changed."""

    ANCHOR = 1
    DELTA = 2


class Reason(IntEnum):
    """Why a cell was kept."""

    ANCHOR = 1
    MOTION = 2
    INTRA = 3
    PIXELS = 4
    REFRESH = 5


@dataclass(frozen=True, slots=True)
class Slot:
    """`frames` sampled pictures, cut to the kept cells.

    `kept` is [rows, cols] bool. `patches` is uint8 [kept, frames, 3, cell, cell] RGB, and
    `reasons` uint8 [kept] of `Reason`, both in row-major order of the kept cells. `times` are the
    sampled frames' stream times in seconds, `capture_time` the edge's wall clock at the last one.
    """

    kind: SlotKind
    kept: NDArray[np.bool_]
    patches: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    times: tuple[float, ...]
    capture_time: float

    @property
    def kept_count(self) -> int:
        """Visual tokens this slot costs."""
        return len(self.patches)

    @property
    def cell_count(self) -> int:
        """Visual tokens the slot would cost if nothing were pruned."""
        return self.kept.size
