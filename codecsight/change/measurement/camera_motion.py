"""Estimation of global camera motion (pan, tilt, zoom, roll) from the codec's motion vectors.

Most vectors of a moving camera's picture are those of its background. An affine motion is fitted to
them by iteratively reweighted least squares with Cauchy weights (Huber & Ronchetti, Robust
Statistics), started from the median, so that foreground objects have little influence.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import FrameSignals
from codecsight.jit import cached_njit

AffineMatrix = NDArray[np.float64]
"""[3, 3], homogeneous: maps points in pixels of one picture to points of an earlier one."""

IDENTITY: AffineMatrix = np.eye(3)
"""No camera motion. Compared by identity (`is`), which is exact and cheap for every frame."""

_MIN_BLOCK_MOTION = 0.2  # pixels per frame from which on a block counts as moving
_MIN_MOVING_SHARE = 0.4  # share of moving blocks from which on the camera may be moving
_MIN_INLIER_SHARE = 0.5  # share of blocks that must follow the fit for it to be accepted
_SCALE = 0.5  # scale of the Cauchy weights: pixels of error of a good vector
_MIN_CAMERA_MOTION = 0.1  # pixels per frame: slower motion is noise, and left to registration
_ITERATIONS = 4
_MIN_PIVOT = 1e-3  # weighted square pixels: below it the normal equations are singular
_MAX_BLOCKS = 1200  # used for a fit; the blocks of a larger picture are subsampled


def estimate_camera_motion(signals: FrameSignals) -> AffineMatrix | None:
    """Affine motion from this frame to the frame before: x_before = M x, in source pixels.

    IDENTITY if nothing suggests that the camera moved. None if the codec cannot tell (an I frame,
    no vectors, damage) or the vectors agree on no motion.
    """
    if signals.motion is None or not signals.valid:
        return None
    rows, cols = signals.motion.shape[:2]
    step = max(1, round((rows * cols / _MAX_BLOCKS) ** 0.5))
    # Blocks without a reference count as not moving here: their vectors are 0.
    if not _many_blocks_move(signals.motion, step):
        return IDENTITY
    intra = np.zeros((rows, cols), np.float32) if signals.intra is None else signals.intra
    accepted, affine = _fit_affine(signals.motion, intra, step, signals.block)
    if not accepted:
        return None
    matrix = np.eye(3)
    matrix[:2] -= affine
    static = (
        max_displacement(matrix, cols * signals.block, rows * signals.block) < _MIN_CAMERA_MOTION
    )
    return IDENTITY if static else matrix


def block_displacements(
    matrix: AffineMatrix, rows: int, cols: int, block: int
) -> NDArray[np.float32]:
    """Motion that the camera's motion gives each block: [rows, cols, 2] pixels per frame."""
    x = (np.arange(cols) + 0.5) * block
    y = ((np.arange(rows) + 0.5) * block)[:, None]
    (a, b, c), (d, e, f) = (IDENTITY - matrix)[:2]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1).astype(np.float32)


@cached_njit
def max_displacement(matrix: AffineMatrix, width: float, height: float) -> float:
    """Largest horizontal or vertical displacement of any point of a `width` x `height` picture, in
    its pixels. An affine displacement is largest in a corner.
    """
    largest = 0.0
    for row in range(2):
        for x in (0.0, float(width)):
            for y in (0.0, float(height)):
                mapped = matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2]
                largest = max(largest, abs(mapped - (x if row == 0 else y)))
    return largest


def change_coordinates(matrix: AffineMatrix, to_new: AffineMatrix) -> AffineMatrix:
    """The same motion in other coordinates: `to_new` [3, 3] maps points to points of the new ones,
    for example to a picture that is larger, or turned.
    """
    changed: AffineMatrix = to_new @ matrix @ np.linalg.inv(to_new)
    return changed


@cached_njit
def _fit_affine(
    motion: NDArray[np.float32], intra: NDArray[np.float32], step: int, block: int
) -> tuple[bool, NDArray[np.float64]]:
    """Fit an affine motion [2, 3] to every `step`-th row and column of blocks. Returns whether
    enough of the blocks with a vector follow it, and the motion.
    """
    vectors, centres = _inter_blocks(motion, intra, step, block)
    count = centres.shape[0]
    affine = np.zeros((2, 3))
    if not count:
        return False, affine
    affine[0, 2], affine[1, 2] = np.median(vectors[:, 0]), np.median(vectors[:, 1])
    equations = np.empty((3, 5))
    for _ in range(_ITERATIONS):
        _normal_equations(vectors, centres, affine, equations)
        if not _solve(equations, affine):
            return False, affine
    inliers = _normal_equations(vectors, centres, affine, equations)
    return inliers >= _MIN_INLIER_SHARE * count, affine


@cached_njit
def _inter_blocks(
    motion: NDArray[np.float32], intra: NDArray[np.float32], step: int, block: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors and centres, in pixels, of the blocks that are mostly coded with a reference: both
    [n, 2].
    """
    rows, cols = intra.shape
    max_count = ((rows + step - 1) // step) * ((cols + step - 1) // step)
    vectors, centres = np.empty((max_count, 2)), np.empty((max_count, 2))
    count = 0
    for row in range(0, rows, step):
        for col in range(0, cols, step):
            if intra[row, col] < 0.5:
                vectors[count, 0], vectors[count, 1] = motion[row, col, 0], motion[row, col, 1]
                centres[count, 0], centres[count, 1] = (col + 0.5) * block, (row + 0.5) * block
                count += 1
    return vectors[:count], centres[:count]


@cached_njit
def _many_blocks_move(motion: NDArray[np.float32], step: int) -> bool:
    """Whether enough of every `step`-th row and column of blocks move for a camera motion."""
    count = total = 0
    for row in range(0, motion.shape[0], step):
        for col in range(0, motion.shape[1], step):
            total += 1
            count += max(abs(motion[row, col, 0]), abs(motion[row, col, 1])) >= _MIN_BLOCK_MOTION
    return bool(count >= _MIN_MOVING_SHARE * total)


@cached_njit
def _normal_equations(
    vectors: NDArray[np.float64],
    centres: NDArray[np.float64],
    affine: NDArray[np.float64],
    equations: NDArray[np.float64],
) -> int:
    """Write the normal equations of the next fit into `equations` [3, 3 + 2]: a common 3 x 3 matrix
    and two right-hand sides, for x and y. Each block is weighted by its residual under the current
    `affine`. Returns the number of inliers.
    """
    inliers = 0
    # Weighted sums of the products of (x, y, 1), and of those with the vector's two components.
    xx = xy = yy = x = y = one = 0.0
    ux = uy = u = vx = vy = v = 0.0
    for n in range(vectors.shape[0]):
        du, dv, px, py = vectors[n, 0], vectors[n, 1], centres[n, 0], centres[n, 1]
        u_error = du - (affine[0, 0] * px + affine[0, 1] * py + affine[0, 2])
        v_error = dv - (affine[1, 0] * px + affine[1, 1] * py + affine[1, 2])
        square = u_error * u_error + v_error * v_error
        inliers += square < (2 * _SCALE) ** 2
        weight = 1 / (1 + square / _SCALE**2)
        wx, wy = weight * px, weight * py
        xx, xy, yy, x, y, one = (
            xx + wx * px,
            xy + wx * py,
            yy + wy * py,
            x + wx,
            y + wy,
            one + weight,
        )
        ux, uy, u = ux + wx * du, uy + wy * du, u + weight * du
        vx, vy, v = vx + wx * dv, vy + wy * dv, v + weight * dv
    equations[0], equations[1], equations[2] = (
        (xx, xy, x, ux, vx),
        (xy, yy, y, uy, vy),
        (x, y, one, u, v),
    )
    return inliers


@cached_njit
def _solve(equations: NDArray[np.float64], affine: NDArray[np.float64]) -> bool:
    """Solve the normal equations into `affine` by Gauss-Jordan elimination. Returns False if they
    are singular: blocks on one line determine no affine motion.
    """
    for pivot in range(3):
        if equations[pivot, pivot] < _MIN_PIVOT:
            return False
        for row in range(3):
            if row != pivot:
                equations[row] -= equations[pivot] * (
                    equations[row, pivot] / equations[pivot, pivot]
                )
    for term in range(3):
        affine[0, term] = equations[term, 3] / equations[term, term]
        affine[1, term] = equations[term, 4] / equations[term, term]
    return True
