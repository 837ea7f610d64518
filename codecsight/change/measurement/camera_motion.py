"""How the camera itself moved, read off the codec's vectors: pan, tilt, zoom, roll.

The vectors of a picture are mostly those of its background. An affine motion is fitted to them by
iteratively reweighted least squares with Cauchy weights (Huber & Ronchetti, Robust Statistics),
started from the median, so that what moves by itself in front has little say.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import FrameSignals
from codecsight.jit import cached_njit

AffineMatrix = NDArray[np.float64]
"""[3, 3], homogeneous: from pixels of one picture to pixels of an earlier one."""

IDENTITY: AffineMatrix = np.eye(3)
_MOVED = 0.2  # pixels per frame from which on a block counts as moving
_BROAD = 0.4  # share of moving blocks from which on it may be the camera
_AGREE = 0.5  # share of blocks that must follow the fit for it to be believed
_SCALE = 0.5  # pixels by which good vectors err
_LEAST = 0.1  # pixels per frame: a slower camera is not told from noise, and left to the pixels
_ROUNDS = 4
_FLAT = 1e-3  # weighed square pixels that blocks must be spread out by
_BLOCKS = 1200  # as many as are looked at; a large picture's are thinned out


def estimate_camera_motion(signals: FrameSignals) -> AffineMatrix | None:
    """Where each point of the picture was in the frame before: x_before = M x, in source pixels.

    IDENTITY where nothing suggests that the camera moved; None where the codec cannot tell (an I
    frame, no vectors, damage) or the vectors do not agree on any motion.
    """
    if signals.motion is None or not signals.valid:
        return None
    rows, cols = signals.motion.shape[:2]
    step = max(1, round((rows * cols / _BLOCKS) ** 0.5))
    # A block without reference has no motion either.
    if not _broad(signals.motion, step):
        return IDENTITY
    intra = np.zeros((rows, cols), np.float32) if signals.intra is None else signals.intra
    agreed, fit = _fit(signals.motion, intra, step, signals.block)
    if not agreed:
        return None
    matrix = np.eye(3)
    matrix[:2] -= fit
    still = largest_shift(matrix, cols * signals.block, rows * signals.block) < _LEAST
    return IDENTITY if still else matrix


def shift(matrix: AffineMatrix, rows: int, cols: int, block: int) -> NDArray[np.float32]:
    """The motion that a camera motion gives every block: [rows, cols, 2] pixels per frame."""
    x = (np.arange(cols) + 0.5) * block
    y = ((np.arange(rows) + 0.5) * block)[:, None]
    (a, b, c), (d, e, f) = (IDENTITY - matrix)[:2]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1).astype(np.float32)


@cached_njit
def largest_shift(matrix: AffineMatrix, width: float, height: float) -> float:
    """The farthest that any point of the picture moves, in its pixels, across or down."""
    farthest = 0.0
    for row in range(2):
        for x in (0.0, float(width)):
            for y in (0.0, float(height)):
                there = matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2]
                farthest = max(farthest, abs(there - (x if row == 0 else y)))
    return farthest


def scaled(matrix: AffineMatrix, across: float, down: float) -> AffineMatrix:
    """The same motion in a picture `across` times as wide and `down` times as high."""
    size = np.array([across, down, 1.0])
    resized: AffineMatrix = matrix * size[:, None] / size
    return resized


@cached_njit
def _fit(
    motion: NDArray[np.float32], intra: NDArray[np.float32], step: int, block: int
) -> tuple[bool, NDArray[np.float64]]:
    """The affine motion [2, 3] of every `step`-th row and column of blocks, and whether most of
    those that have a motion follow it.
    """
    ways, places = _known(motion, intra, step, block)
    count = places.shape[0]
    fit = np.zeros((2, 3))
    if not count:
        return False, fit
    fit[0, 2], fit[1, 2] = np.median(ways[:, 0]), np.median(ways[:, 1])
    sums = np.empty((3, 5))
    for _ in range(_ROUNDS):
        _weigh(ways, places, fit, sums)
        if not _solve(sums, fit):
            return False, fit
    return _weigh(ways, places, fit, sums) >= _AGREE * count, fit


@cached_njit
def _known(
    motion: NDArray[np.float32], intra: NDArray[np.float32], step: int, block: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The motion of blocks that have any, and their middles in pixels: both [n, 2]."""
    rows, cols = intra.shape
    most = ((rows + step - 1) // step) * ((cols + step - 1) // step)
    ways, places = np.empty((most, 2)), np.empty((most, 2))
    count = 0
    for row in range(0, rows, step):
        for col in range(0, cols, step):
            if intra[row, col] < 0.5:
                ways[count, 0], ways[count, 1] = motion[row, col, 0], motion[row, col, 1]
                places[count, 0], places[count, 1] = (col + 0.5) * block, (row + 0.5) * block
                count += 1
    return ways[:count], places[:count]


@cached_njit
def _broad(motion: NDArray[np.float32], step: int) -> bool:
    """Whether enough of every `step`-th row and column of blocks moves."""
    count = seen = 0
    for row in range(0, motion.shape[0], step):
        for col in range(0, motion.shape[1], step):
            seen += 1
            count += max(abs(motion[row, col, 0]), abs(motion[row, col, 1])) >= _MOVED
    return bool(count >= _BROAD * seen)


@cached_njit
def _weigh(
    ways: NDArray[np.float64],
    places: NDArray[np.float64],
    fit: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> int:
    """Normal equations of the next fit into `sums` [3, 3 + 2], the blocks weighed by how well they
    follow this one; returns how many do.
    """
    agreeing = 0
    xx = xy = yy = x = y = one = 0.0
    ax = ay = a = dx = dy = d = 0.0
    for n in range(ways.shape[0]):
        across, down, px, py = ways[n, 0], ways[n, 1], places[n, 0], places[n, 1]
        off = across - (fit[0, 0] * px + fit[0, 1] * py + fit[0, 2])
        off_down = down - (fit[1, 0] * px + fit[1, 1] * py + fit[1, 2])
        error = off * off + off_down * off_down
        agreeing += error < (2 * _SCALE) ** 2
        weight = 1 / (1 + error / _SCALE**2)
        wx, wy = weight * px, weight * py
        xx, xy, yy, x, y, one = (
            xx + wx * px,
            xy + wx * py,
            yy + wy * py,
            x + wx,
            y + wy,
            one + weight,
        )
        ax, ay, a = ax + wx * across, ay + wy * across, a + weight * across
        dx, dy, d = dx + wx * down, dy + wy * down, d + weight * down
    sums[0], sums[1], sums[2] = (xx, xy, x, ax, dx), (xy, yy, y, ay, dy), (x, y, one, a, d)
    return agreeing


@cached_njit
def _solve(sums: NDArray[np.float64], fit: NDArray[np.float64]) -> bool:
    """Solve the normal equations into `fit` by elimination, and say whether that could be done:
    blocks that all lie on a line say nothing of an affine motion.
    """
    for pivot in range(3):
        if sums[pivot, pivot] < _FLAT:
            return False
        for row in range(3):
            if row != pivot:
                sums[row] -= sums[pivot] * (sums[row, pivot] / sums[pivot, pivot])
    for term in range(3):
        fit[0, term] = sums[term, 3] / sums[term, term]
        fit[1, term] = sums[term, 4] / sums[term, term]
    return True
