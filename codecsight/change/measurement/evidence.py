"""What the codec said of every block since the last slot or anchor, at native frame rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import IDENTITY, AffineMatrix
from codecsight.change.measurement.projection import projection
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.jit import cached_njit

_NONE = np.zeros((2, 3))
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

    I frames say nothing of motion and are passed over. Where motion was not read, it is taken to
    have been that of the next frame. A frame without motion, a damaged one, or a change of the
    picture's size makes the evidence blind until it is cleared: then nobody may conclude from it
    that nothing moved.
    """

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._unread = 0
        self._layout: Layout | None = None
        self._peak = self._intra = np.empty((0, 0), np.float32)
        self._shift = self._spare = np.empty((0, 0, 2), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget everything observed so far."""
        self.blind = False
        self._empty = True

    def observe(
        self, signals: FrameSignals, width: int, height: int, camera: AffineMatrix = IDENTITY
    ) -> None:
        """Take in one decoded frame of `width` x `height` pixels, in which the camera moved."""
        self.blind |= not signals.valid
        self._unread += not signals.extracted
        if signals.frame_type == "I" or not signals.extracted:
            return
        motion = signals.motion
        if motion is None:
            self.blind = True
            return
        layout = ((motion.shape[0], motion.shape[1]), signals.block, (height, width))
        if self._empty or layout != self._layout:
            self.blind |= not self._empty
            self._start(layout)
        own = _NONE if camera is IDENTITY else (IDENTITY - camera)[:2]
        intra = self._intra if signals.intra is None else signals.intra
        kept = self._peak, self._intra, self._shift, self._spare
        _add(motion, intra, own, signals.block, 1 + self._unread, *kept)
        self._unread = 0
        self._shift, self._spare = self._spare, self._shift

    def cells(self) -> CellEvidence | None:
        """The evidence per cell; None when blind. Without any frame but I frames: all zero."""
        if self.blind:
            return None
        if self._empty or self._layout is None:
            zero = np.zeros((self._grid.rows, self._grid.cols), np.float32)
            return CellEvidence(zero, zero, zero)
        over = projection(*self._layout, self._grid)
        come = np.hypot(self._shift[..., 0], self._shift[..., 1])
        fastest = np.sqrt(over.peak(self._peak))
        return CellEvidence(fastest, over.peak(come), over.peak(self._intra))

    def _start(self, layout: Layout) -> None:
        """Begin from nothing, in the same memory unless the picture's size is new."""
        if layout != self._layout:
            self._peak, self._intra = np.empty((2, *layout[0]), np.float32)
            self._shift, self._spare = np.empty((2, *layout[0], 2), np.float32)
        self._layout, self._empty = layout, False
        for values in (self._peak, self._intra, self._shift):
            values[:] = 0


@cached_njit
def _add(
    motion: NDArray[np.float32],
    intra: NDArray[np.float32],
    camera: NDArray[np.float64],
    block: int,
    frames: int,
    peak: NDArray[np.float32],
    most: NDArray[np.float32],
    before: NDArray[np.float32],
    come: NDArray[np.float32],
) -> None:
    """Compose one frame's `motion`, which was that of so many `frames`, and from which the [2, 3]
    motion that the `camera` gives every point is taken off: what had come as far as `before` says
    has `come` so far now. Keep the `most` of what was coded `intra`.
    """
    rows, cols = peak.shape
    still = not camera.any()
    for row in range(rows):
        y = (row + 0.5) * block
        for col in range(cols):
            most[row, col] = max(most[row, col], intra[row, col])
            across, down = motion[row, col, 0], motion[row, col, 1]
            if not still:
                x = (col + 0.5) * block
                across -= np.float32(camera[0, 0] * x + camera[0, 1] * y + camera[0, 2])
                down -= np.float32(camera[1, 0] * x + camera[1, 1] * y + camera[1, 2])
            square = across * across + down * down
            peak[row, col] = max(peak[row, col], square)
            source_row, source_col = row, col
            across, down = across * frames, down * frames
            if square * frames * frames >= block * block / 4:  # it came from another block
                source_row = min(max(row - int(np.rint(down / block)), 0), rows - 1)
                source_col = min(max(col - int(np.rint(across / block)), 0), cols - 1)
            come[row, col, 0] = before[source_row, source_col, 0] + across
            come[row, col, 1] = before[source_row, source_col, 1] + down
