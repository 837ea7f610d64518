"""Codec evidence: motion and intra coding of all frames since the last slot, per cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import IDENTITY, AffineMatrix
from codecsight.change.measurement.projection import projection
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.orientation import UPRIGHT
from codecsight.jit import cached_njit

_NO_CAMERA_MOTION = np.zeros((2, 3))
BlockLayout = tuple[tuple[int, int], int, tuple[int, int]]
"""(rows, cols) of blocks, pixels per block, (height, width) of the coded picture."""


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """Codec evidence per cell, all [rows, cols] float32.

    `peak_motion` is the largest motion of any block in any one frame (pixels per frame),
    `displacement` the largest distance that content of the cell moved over all frames (pixels),
    `intra` the largest share of a block that was coded without a reference.
    """

    peak_motion: NDArray[np.float32]
    displacement: NDArray[np.float32]
    intra: NDArray[np.float32]


class CodecEvidence:
    """Accumulates FrameSignals on the codec's block grid; projects them to cells once per slot.

    Motion is composed over frames: the content of a block lay one frame earlier in the block that
    is one vector back. Its displacement is that block's displacement plus the vector. The camera's
    motion, where given, is subtracted from the vectors.

    I frames carry no motion and are skipped; where all frames are I frames (MJPEG, a camera set to
    "all intra"), there is no evidence. A frame whose signals were not extracted is assumed to
    have moved like the next extracted one. A frame without motion, a damaged frame, or a change of
    picture size makes the evidence `incomplete` until it is cleared: then missing motion must not
    be read as "nothing moved".
    """

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._skipped_frames = 0
        self._layout: BlockLayout | None = None
        self._orientation = UPRIGHT
        self._peak_square = self._intra = np.empty((0, 0), np.float32)
        # Two buffers, swapped each frame: composition reads one and writes the other.
        self._displacement = self._next_displacement = np.empty((0, 0, 2), np.float32)
        self.clear()

    def clear(self) -> None:
        """Discard all frames observed so far."""
        self.incomplete = False
        self._empty = True

    def observe(
        self, signals: FrameSignals, width: int, height: int, camera: AffineMatrix = IDENTITY
    ) -> None:
        """Add one decoded frame of `width` x `height` coded pixels; `camera` is the camera's motion
        in it, in the same pixels.
        """
        self.incomplete |= not signals.valid
        self._skipped_frames += not signals.extracted
        if signals.frame_type == "I" or not signals.extracted:
            return
        motion = signals.motion
        if motion is None:
            self.incomplete = True
            return
        layout = ((motion.shape[0], motion.shape[1]), signals.block, (height, width))
        if self._empty or layout != self._layout or signals.orientation != self._orientation:
            self.incomplete |= not self._empty
            self._start(layout)
            self._orientation = signals.orientation
        camera_motion = _NO_CAMERA_MOTION if camera is IDENTITY else (IDENTITY - camera)[:2]
        intra = self._intra if signals.intra is None else signals.intra
        state = self._peak_square, self._intra, self._displacement, self._next_displacement
        _accumulate(motion, intra, camera_motion, signals.block, 1 + self._skipped_frames, *state)
        self._skipped_frames = 0
        self._displacement, self._next_displacement = self._next_displacement, self._displacement

    def cells(self) -> CellEvidence | None:
        """The evidence per cell; None if the codec can't tell what moved: it is incomplete, or no
        frame with motion was observed.
        """
        if self.incomplete or self._empty or self._layout is None:
            return None
        distance = np.hypot(self._displacement[..., 0], self._displacement[..., 1])
        peak_motion = np.sqrt(self._to_cells(self._layout, self._peak_square))
        displacement, intra = (
            self._to_cells(self._layout, blocks) for blocks in (distance, self._intra)
        )
        return CellEvidence(peak_motion, displacement, intra)

    def _to_cells(self, layout: BlockLayout, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """[block rows, block cols] as coded -> [rows, cols] as shown: the largest value."""
        cols, rows = self._orientation.size(self._grid.cols, self._grid.rows)
        coded_grid = PatchGrid(self._grid.spec, rows, cols)
        return self._orientation.apply(projection(*layout, coded_grid).peak(blocks))

    def _start(self, layout: BlockLayout) -> None:
        """Reset the accumulators; reallocate them if the layout changed."""
        if layout != self._layout:
            self._peak_square, self._intra = np.empty((2, *layout[0]), np.float32)
            self._displacement, self._next_displacement = np.empty((2, *layout[0], 2), np.float32)
        self._layout, self._empty = layout, False
        for values in (self._peak_square, self._intra, self._displacement):
            values[:] = 0


@cached_njit
def _accumulate(
    motion: NDArray[np.float32],
    intra: NDArray[np.float32],
    camera: NDArray[np.float64],
    block: int,
    frames: int,
    peak_square: NDArray[np.float32],
    max_intra: NDArray[np.float32],
    displacement: NDArray[np.float32],
    next_displacement: NDArray[np.float32],
) -> None:
    """Add one frame's `motion` [rows, cols, 2], which stands for `frames` frames.

    Subtracts the affine motion [2, 3] of the `camera`; updates the largest squared motion
    `peak_square` and `max_intra` [rows, cols]; and writes to `next_displacement` [rows, cols, 2]
    the `displacement` of the block each vector comes from, plus the vector.
    """
    rows, cols = peak_square.shape
    static = not camera.any()
    for row in range(rows):
        y = (row + 0.5) * block
        for col in range(cols):
            max_intra[row, col] = max(max_intra[row, col], intra[row, col])
            dx, dy = motion[row, col, 0], motion[row, col, 1]
            if not static:
                x = (col + 0.5) * block
                dx -= np.float32(camera[0, 0] * x + camera[0, 1] * y + camera[0, 2])
                dy -= np.float32(camera[1, 0] * x + camera[1, 1] * y + camera[1, 2])
            square = dx * dx + dy * dy
            peak_square[row, col] = max(peak_square[row, col], square)
            source_row, source_col = row, col
            dx, dy = dx * frames, dy * frames
            # Up to half a block of motion, the nearest source block is this block.
            if square * frames * frames >= block * block / 4:
                source_row = min(max(row - int(np.rint(dy / block)), 0), rows - 1)
                source_col = min(max(col - int(np.rint(dx / block)), 0), cols - 1)
            next_displacement[row, col, 0] = displacement[source_row, source_col, 0] + dx
            next_displacement[row, col, 1] = displacement[source_row, source_col, 1] + dy
