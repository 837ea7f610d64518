"""What the codec said of every block since the last slot or anchor, at native frame rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.change.camera_motion import STILL, Matrix, shift
from codecsight.change.grid import PatchGrid
from codecsight.change.projection import projection
from codecsight.video.frame import FrameSignals

Layout = tuple[tuple[int, int], int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """The codec's account per cell, all [rows, cols] float32: `motion` the fastest block in any
    one frame (pixels per frame), `shift` the farthest that any content came over all frames
    (pixels), `intra` the largest share of a block coded without a reference.
    """

    motion: NDArray[np.float32]
    shift: NDArray[np.float32]
    intra: NDArray[np.float32]


class CodecEvidence:
    """Gathers FrameSignals on the codec's own block grid; projecting happens once per slot.

    Motion is composed over frames: what is in a block now was one step back where its vector came
    from, and has come as far as the content of that block had, plus this step. The camera's own
    motion is not motion of the content, and is taken off where it is given.

    I frames say nothing of motion and are passed over. A frame without motion, a damaged one, or a
    change of the picture's size makes the evidence blind until it is cleared: then nobody may
    conclude from it that nothing moved.
    """

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._layout: Layout | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything observed so far."""
        self.blind = False
        self._peak: NDArray[np.float32] | None = None

    def observe(
        self, signals: FrameSignals, width: int, height: int, camera: Matrix = STILL
    ) -> None:
        """Take in one decoded frame of `width` x `height` pixels, in which the camera moved."""
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
        if camera is not STILL:
            motion = motion - shift(camera, *layout[0], signals.block)
        self._add(motion, signals.intra, signals.block)

    def cells(self) -> CellEvidence | None:
        """The evidence per cell; None when blind. Without any frame but I frames: all zero."""
        if self.blind:
            return None
        if self._peak is None or self._layout is None:
            zero = np.zeros((self._grid.rows, self._grid.cols), np.float32)
            return CellEvidence(zero, zero, zero)
        over = projection(*self._layout, self._grid)
        come = np.hypot(self._shift[..., 0], self._shift[..., 1])
        fastest = np.sqrt(over.peak(self._peak))
        return CellEvidence(fastest, over.peak(come), over.peak(self._intra))

    def _start(self, layout: Layout) -> None:
        self._layout = layout
        self._peak = np.zeros(layout[0], np.float32)
        self._shift = np.zeros((*layout[0], 2), np.float32)
        self._intra = np.zeros(layout[0], np.float32)

    def _add(
        self, motion: NDArray[np.float32], intra: NDArray[np.float32] | None, block: int
    ) -> None:
        assert self._peak is not None  # noqa: S101 - _start ran
        square = motion[..., 0] ** 2 + motion[..., 1] ** 2
        np.maximum(self._peak, square, out=self._peak)
        row, col = np.nonzero(square >= (block / 2) ** 2)  # those that came from another block
        if row.size:
            steps = np.rint(motion[row, col] / block).astype(np.intp)
            rows, cols = square.shape
            from_row = np.clip(row - steps[:, 1], 0, rows - 1)
            from_col = np.clip(col - steps[:, 0], 0, cols - 1)
            self._shift[row, col] = self._shift[from_row, from_col]
        self._shift += motion
        if intra is not None:
            np.maximum(self._intra, intra, out=self._intra)
