"""How the camera itself moved, read off the codec's vectors: pan, tilt, zoom, roll.

The vectors of a picture are mostly those of its background. An affine motion is fitted to them by
iteratively reweighted least squares with Cauchy weights (Huber & Ronchetti, Robust Statistics),
started from the median, so that what moves by itself in front has little say.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
    motion = signals.motion[::step, ::step].reshape(-1, 2)
    # A block without reference has no motion either.
    if np.count_nonzero(np.abs(motion).max(axis=1) >= _MOVED) < _BROAD * len(motion):
        return STILL
    places = _places(rows, cols, step, signals.block)
    if signals.intra is not None:
        known = signals.intra[::step, ::step].ravel() < 0.5
        motion, places = motion[known], places[known]
    fit = _fit(motion, places)
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


def _fit(motion: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """[2, 3]: the affine motion that most of the blocks follow; None where most follow none."""
    fit = np.zeros((2, 3))
    fit[:, 2] = np.median(motion, axis=0)
    for _ in range(_ROUNDS):
        error = np.hypot(*(motion - places @ fit.T).T)
        weighted = places / (1 + (error / _SCALE) ** 2)[:, None]
        fit = np.linalg.lstsq(weighted.T @ places, weighted.T @ motion, rcond=None)[0].T
    error = np.hypot(*(motion - places @ fit.T).T)
    return fit if (error < 2 * _SCALE).mean() >= _AGREE else None


@lru_cache(maxsize=64)
def _places(rows: int, cols: int, step: int, block: int) -> NDArray[np.float64]:
    """[n, 3]: (x, y, 1) of the middle of every `step`th block, in pixels."""
    y, x = np.mgrid[0:rows:step, 0:cols:step]
    places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    places[:, :2] = (places[:, :2] + 0.5) * block
    return places
