"""How the camera itself moved, read off the codec's vectors: pan, tilt, zoom, roll.

The vectors of a picture are mostly those of its background. An affine motion is fitted to them by
iteratively reweighted least squares with Cauchy weights (Huber & Ronchetti, Robust Statistics),
started from the median, so that what moves by itself in front has little say.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.compiled import compiled
from codecsight.video.frame import FrameSignals

Matrix = NDArray[np.float64]
"""[3, 3], homogeneous: from pixels of one picture to pixels of an earlier one."""

STILL: Matrix = np.eye(3)
_MOVED = 0.2  # pixels per frame from which on a block counts as moving
_BROAD = 0.4  # share of moving blocks from which on it may be the camera
_AGREE = 0.5  # share of blocks that must follow the fit for it to be believed
_SCALE = 0.5  # pixels by which good vectors err
_LEAST = 0.1  # pixels per frame: a slower camera is not told from noise, and left to the pixels
_ROUNDS = 4
_BLOCKS = 1200  # as many as are looked at; a large picture's are thinned out


def camera_motion(signals: FrameSignals) -> Matrix | None:
    """Where each point of the picture was in the frame before: x_before = M x, in source pixels.

    STILL where nothing suggests that the camera moved; None where the codec cannot tell (an I
    frame, no vectors, damage) or the vectors do not agree on any motion.
    """
    if signals.motion is None or not signals.valid:
        return None
    rows, cols = signals.motion.shape[:2]
    step = max(1, round((rows * cols / _BLOCKS) ** 0.5))
    motion = signals.motion[::step, ::step]
    # A block without reference has no motion either.
    if _moving(motion) < _BROAD * motion.shape[0] * motion.shape[1]:
        return STILL
    known = np.ones((rows, cols), np.bool_) if signals.intra is None else signals.intra < 0.5
    fit = _fit(motion, known[::step, ::step], float(step * signals.block), signals.block / 2)
    if fit is None:
        return None
    matrix = np.eye(3)
    matrix[:2] -= fit
    still = largest_shift(matrix, cols * signals.block, rows * signals.block) < _LEAST
    return STILL if still else matrix


def shift(matrix: Matrix, rows: int, cols: int, block: int) -> NDArray[np.float32]:
    """The motion that a camera motion gives every block: [rows, cols, 2] pixels per frame."""
    x = (np.arange(cols) + 0.5) * block
    y = ((np.arange(rows) + 0.5) * block)[:, None]
    (a, b, c), (d, e, f) = (STILL - matrix)[:2]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1).astype(np.float32)


def largest_shift(matrix: Matrix, width: float, height: float) -> float:
    """The farthest that any point of the picture moves, in its pixels."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    return float(np.abs(corners @ (matrix - STILL)[:2].T).max())


def scaled(matrix: Matrix, across: float, down: float) -> Matrix:
    """The same motion in a picture `across` times as wide and `down` times as high."""
    size = np.array([across, down, 1.0])
    resized: Matrix = matrix * size[:, None] / size
    return resized


def _fit(
    motion: NDArray[np.float32], known: NDArray[np.bool_], step: float, first: float
) -> NDArray[np.float64] | None:
    """[2, 3]: the affine motion that most of the blocks follow; None where most follow none. The
    blocks' middles are `step` pixels from each other, beginning with `first`.
    """
    count = int(np.count_nonzero(known))
    if not count:
        return None
    fit = np.zeros((2, 3))
    fit[:, 2] = np.median(motion[known], axis=0)
    sums = np.empty((3, 5))
    for _ in range(_ROUNDS):
        _weigh(motion, known, step, first, fit, sums)
        found = np.linalg.lstsq(sums[:, :3], sums[:, 3:], rcond=None)[0]
        fit = np.ascontiguousarray(found.T, np.float64)
    return fit if _weigh(motion, known, step, first, fit, sums) >= _AGREE * count else None


@compiled
def _moving(motion: NDArray[np.float32]) -> int:
    """How many blocks move."""
    count = 0
    for row in range(motion.shape[0]):
        for col in range(motion.shape[1]):
            if max(abs(motion[row, col, 0]), abs(motion[row, col, 1])) >= _MOVED:
                count += 1
    return count


@compiled
def _weigh(
    motion: NDArray[np.float32],
    known: NDArray[np.bool_],
    step: float,
    first: float,
    fit: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> int:
    """Normal equations of the next fit into `sums` [3, 3 + 2], the blocks weighed by how well they
    follow this one; returns how many do.
    """
    sums[:] = 0
    agreeing = 0
    for row in range(motion.shape[0]):
        for col in range(motion.shape[1]):
            if not known[row, col]:
                continue
            place = (first + col * step, first + row * step, 1.0)
            way = (float(motion[row, col, 0]), float(motion[row, col, 1]))
            error = 0.0
            for axis in range(2):
                off = way[axis]
                for term in range(3):
                    off -= fit[axis, term] * place[term]
                error += off * off
            agreeing += error < (2 * _SCALE) ** 2
            weight = 1 / (1 + error / _SCALE**2)
            for term in range(3):
                for other in range(3):
                    sums[term, other] += weight * place[term] * place[other]
                for axis in range(2):
                    sums[term, 3 + axis] += weight * place[term] * way[axis]
    return agreeing
