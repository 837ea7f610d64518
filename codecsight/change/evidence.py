"""What the codec said of every block since the last slot or anchor, at native frame rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.change.grid import PatchGrid
from codecsight.change.projection import projection
from codecsight.video.frame import FrameSignals


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """The codec's account per cell, all [rows, cols] float32: `motion` the fastest block in any
    one frame (pixels per frame), `shift` the largest displacement summed over the frames (pixels),
    `intra` the largest share of a block coded without a reference.
    """

    motion: NDArray[np.float32]
    shift: NDArray[np.float32]
    intra: NDArray[np.float32]


class CodecEvidence:
    """Gathers FrameSignals on the codec's own block grid; projecting happens once per slot.

    I frames say nothing of motion and are passed over. A frame without motion, a damaged one, or a
    change of the picture's size makes the evidence blind until it is cleared: then nobody may
    conclude from it that nothing moved.
    """

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._layout: tuple[tuple[int, int], int, tuple[int, int]] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything observed so far."""
        self.blind = False
        self._peak: NDArray[np.float32] | None = None

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Take in one decoded frame of `width` x `height` pixels."""
        self.blind |= not signals.valid
        if signals.frame_type == "I":
            return
        motion = signals.motion
        if motion is None:
            self.blind = True
            return
        layout = ((motion.shape[0], motion.shape[1]), signals.block, (height, width))
        if self._peak is None or layout != self._layout:
            self.blind |= self._peak is not None
            self._start(layout)
        self._add(motion, signals.intra)

    def cells(self) -> CellEvidence | None:
        """The evidence per cell; None when blind. Without any frame but I frames: all zero."""
        if self.blind:
            return None
        if self._peak is None or self._layout is None:
            zero = np.zeros((self._grid.rows, self._grid.cols), np.float32)
            return CellEvidence(zero, zero, zero)
        over = projection(*self._layout, self._grid)
        shift = np.hypot(self._shift[..., 0], self._shift[..., 1])
        return CellEvidence(over.peak(self._peak), over.peak(shift), over.peak(self._intra))

    def _start(self, layout: tuple[tuple[int, int], int, tuple[int, int]]) -> None:
        self._layout = layout
        self._peak = np.zeros(layout[0], np.float32)
        self._shift = np.zeros((*layout[0], 2), np.float32)
        self._intra = np.zeros(layout[0], np.float32)

    def _add(self, motion: NDArray[np.float32], intra: NDArray[np.float32] | None) -> None:
        assert self._peak is not None  # noqa: S101 - _start ran
        np.maximum(self._peak, np.hypot(motion[..., 0], motion[..., 1]), out=self._peak)
        self._shift += motion
        if intra is not None:
            np.maximum(self._intra, intra, out=self._intra)
