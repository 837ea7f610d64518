"""One temporal step of a stream: the cells of its sampled frames that were kept."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

ANCHOR_EVERY = 4
"""Default number of slots from one anchor to the next; docs/accuracy.md gives the reason."""


class SlotKind(IntEnum):
    """ANCHOR holds every cell, DELTA holds the changed cells."""

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
    """The kept cells of `GridSpec.frames` consecutive sampled frames.

    `kept` is bool [rows, cols]. `patches` is uint8 [kept, frames, 3, cell, cell] in RGB, `reasons`
    is uint8 [kept] of `Reason`; both are in row-major order of the kept cells. `times` are the
    stream times of the sampled frames in seconds, `capture_time` is the edge's wall clock at the
    last frame.
    """

    kind: SlotKind
    kept: NDArray[np.bool_]
    patches: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    times: tuple[float, ...]
    capture_time: float

    @property
    def kept_count(self) -> int:
        """Number of kept cells: the visual tokens of this slot."""
        return len(self.patches)

    @property
    def cell_count(self) -> int:
        """Number of all cells: the visual tokens of an unpruned slot."""
        return self.kept.size
