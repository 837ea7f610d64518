"""Image registration: refines the codec's estimate of camera motion by aligning pixels.

Vectors are quantised, and their errors add up over frames. So where the camera moved, one picture
is aligned with the other by a few Gauss-Newton steps on luma (Lucas & Kanade 1981, for an affine
motion; with the gradient of the fixed picture, as in Baker & Matthews 2004), with Cauchy weights so
that changed objects have little influence.

Coordinates: motions map pixels of `new` to pixels of `old`, as [3, 3] matrices. A Gauss-Newton step
is affine in shares of the picture, from its centre, which keeps its six unknowns of one magnitude.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix, max_displacement
from codecsight.change.measurement.exposure import fit_exposure
from codecsight.change.measurement.yuv_planes import Plane
from codecsight.jit import cached_njit

_MAX_STEPS = 3
_POINTS = 4000  # samples of a step, about: plenty for six unknowns
_EXPOSURE_STRIDE = 2  # exposure and scale are fitted on every other row and column of those
_MAX_STEP = 3.0  # pixels: a larger step has diverged
_CONVERGED = 0.02  # pixels
_MIN_SCALE = 2.0  # lower bound of the Cauchy scale, in grey levels
_MIN_DEFORMATION = 0.5  # pixels at the border that zoom and roll must cause to be accepted
_MAX_DEFORMATION = (
    5.0  # pixels of zoom and roll that errors of the vectors can add up to in a second
)
_TRANSLATION, _AFFINE = [2, 5], [0, 1, 2, 3, 4, 5]
GainOffset = tuple[float, float]
_FULLY_VISIBLE = 0.999  # visibility of a pixel, allowing for rounding


def register(new: Plane, old: Plane, visibility: Plane, motion: AffineMatrix) -> AffineMatrix:
    """Refine `motion` so that `old`, warped by it, matches `new`; returns `motion` itself if that
    fails. Both are luma [h, w]; `old` may be larger, and only its visible pixels count.

    Most cameras only pan and tilt. So a pure translation is tried first, and kept unless the pixels
    call for more: noise in zoom and roll would be visible at the borders.
    """
    height, width = new.shape
    stride = max(1, round((new.size / _POINTS) ** 0.5))
    old_samples, new_samples = _sample_pairs(
        new, old, visibility, motion, _EXPOSURE_STRIDE * stride
    )
    if not old_samples.size:
        return motion
    exposure = _gain_offset(old_samples, new_samples)
    centre = np.array([width / 2, height / 2, 1.0])
    translation = np.eye(3)
    translation[:2, 2] = (motion @ centre - centre)[:2]
    if max_displacement(motion - translation + np.eye(3), width, height) < _MAX_DEFORMATION:
        translation = _refine(new, old, visibility, translation, exposure, _TRANSLATION)
        step = _gauss_newton_step(new, old, visibility, translation, exposure, _AFFINE)
        if step is None or np.abs(step[:, :2]).sum(axis=1).max() / 2 < _MIN_DEFORMATION:
            return translation
    return _refine(new, old, visibility, motion, exposure, _AFFINE)


def _refine(
    new: Plane,
    old: Plane,
    visibility: Plane,
    motion: AffineMatrix,
    exposure: GainOffset,
    terms: list[int],
) -> AffineMatrix:
    """Up to _MAX_STEPS Gauss-Newton steps over the given `terms`; `motion` itself on divergence."""
    refined = motion
    for _ in range(_MAX_STEPS):
        step = _gauss_newton_step(new, old, visibility, refined, exposure, terms)
        if step is None or np.abs(step[:, 2]).max() > _MAX_STEP:
            return motion
        correction = np.eye(3)
        correction[:2] += step
        refined = refined @ _to_pixels(correction, *new.shape)
        if np.abs(step[:, 2]).max() < _CONVERGED:
            break
    return refined


def _gauss_newton_step(
    new: Plane,
    old: Plane,
    visibility: Plane,
    motion: AffineMatrix,
    exposure: GainOffset,
    terms: list[int],
) -> NDArray[np.float64] | None:
    """One step [2, 3] in centred shares of the picture, of which only `terms` may differ from 0.
    None if nothing is visible, or the equations are singular.
    """
    stride = max(1, round((new.size / _POINTS) ** 0.5))
    error = _median_error(new, old, visibility, motion, exposure, _EXPOSURE_STRIDE * stride)
    if error < 0:
        return None
    scale = max(_MIN_SCALE, 1.5 * error)
    equations = _normal_equations(new, old, visibility, motion, *exposure, scale, stride)
    step = np.zeros(6)
    try:
        step[terms] = np.linalg.solve(equations[np.ix_(terms, terms)], equations[terms, 6])
    except np.linalg.LinAlgError:  # a picture without gradients, such as a blank wall
        return None
    return step.reshape(2, 3)


def _gain_offset(old: Plane, new: Plane) -> GainOffset:
    """Gain and offset from `old` to `new` samples.

    Noise in the regressor biases a fitted gain towards 0. So the gain is the geometric mean of the
    fit from old to new and the inverse of the fit from new to old.
    """
    forward, backward = fit_exposure(old, new).gain, fit_exposure(new, old).gain
    gain = float(np.sqrt(forward / backward)) if forward > 0 and backward > 0 else 1.0
    return gain, float(np.median(new - gain * old))


def _to_pixels(correction: AffineMatrix, height: int, width: int) -> AffineMatrix:
    """Convert a correction in centred shares of the picture to one in pixels from the corner."""
    linear = correction[:2, :2] - np.eye(2)
    matrix = np.eye(3)
    matrix[:2, :2] += linear / np.array([width, height])
    matrix[:2, 2] = correction[:2, 2] - linear @ [0.5, 0.5]
    return matrix


@cached_njit
def _sample_bilinear(old: Plane, visibility: Plane, motion: AffineMatrix, x: int, y: int) -> float:
    """Value of `old` at pixel (x, y) of `new`, bilinear; less than 0 where it isn't visible."""
    old_x = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - 0.5
    old_y = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2] - 0.5
    col, row = int(np.floor(old_x)), int(np.floor(old_y))
    if col < 0 or row < 0 or col >= old.shape[1] - 1 or row >= old.shape[0] - 1:
        return -1.0
    # Two opposite corners stand for all four.
    if min(visibility[row, col], visibility[row + 1, col + 1]) < _FULLY_VISIBLE:
        return -1.0
    s, t = old_x - col, old_y - row
    above = (1 - s) * old[row, col] + s * old[row, col + 1]
    below = (1 - s) * old[row + 1, col] + s * old[row + 1, col + 1]
    return float((1 - t) * above + t * below)


@cached_njit
def _sample_pairs(
    new: Plane, old: Plane, visibility: Plane, motion: AffineMatrix, stride: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Luma of corresponding points in the old and in the new picture, every `stride`-th row and
    column where `old` is visible: both [n].
    """
    height, width = new.shape
    old_samples = np.empty((height // stride + 1) * (width // stride + 1), np.float32)
    new_samples = np.empty_like(old_samples)
    count = 0
    for y in range(0, height, stride):
        for x in range(0, width, stride):
            value = _sample_bilinear(old, visibility, motion, x, y)
            if value >= 0:
                old_samples[count], new_samples[count] = value, new[y, x]
                count += 1
    return old_samples[:count], new_samples[:count]


@cached_njit
def _median_error(
    new: Plane,
    old: Plane,
    visibility: Plane,
    motion: AffineMatrix,
    exposure: GainOffset,
    stride: int,
) -> float:
    """Median absolute luma error of sampled points; less than 0 if none is visible."""
    old_samples, new_samples = _sample_pairs(new, old, visibility, motion, stride)
    if not old_samples.size:
        return -1.0
    for n in range(old_samples.size):
        old_samples[n] = abs(new_samples[n] - exposure[0] * old_samples[n] - exposure[1])
    return float(np.median(old_samples))


@cached_njit
def _normal_equations(
    new: Plane,
    old: Plane,
    visibility: Plane,
    motion: AffineMatrix,
    gain: float,
    offset: float,
    scale: float,
    stride: int,
) -> NDArray[np.float64]:
    """Normal equations [6, 7] of a step, over every `stride`-th row and column.

    The unknowns are (a, b, c, d, e, f) of the displacement (a x + b y + c, d x + e y + f). Within a
    row only x differs, so that a row needs sums over powers of x alone; y is applied once per row
    in `_add_row`.
    """
    height, width = new.shape
    equations, row_sums = np.zeros((6, 7)), np.empty((5, 3))
    inverse_scale, x_scale = 1 / scale, 1 / width
    for y in range(1, height - 1, stride):
        # Weighted sums over the row of gx gx, gx gy, gy gy, gx e and gy e, each times a power of x
        # (the digit).
        xx0 = xx1 = xx2 = xy0 = xy1 = xy2 = yy0 = yy1 = yy2 = ex0 = ex1 = ey0 = ey1 = 0.0
        above, row, below = new[y - 1], new[y], new[y + 1]
        for x in range(1, width - 1, stride):
            value = _sample_bilinear(old, visibility, motion, x, y)
            if value < 0:
                continue
            error = row[x] - gain * value - offset
            weight = 1 / (1 + (error * inverse_scale) * (error * inverse_scale))
            gx, gy = 0.5 * (row[x + 1] - row[x - 1]), 0.5 * (below[x] - above[x])
            px = (x + 0.5) * x_scale - 0.5
            xx, xy, yy = weight * gx * gx, weight * gx * gy, weight * gy * gy
            xx0, xx1, xx2 = xx0 + xx, xx1 + xx * px, xx2 + xx * px * px
            xy0, xy1, xy2 = xy0 + xy, xy1 + xy * px, xy2 + xy * px * px
            yy0, yy1, yy2 = yy0 + yy, yy1 + yy * px, yy2 + yy * px * px
            weighted_error = weight * error
            ex0, ex1 = ex0 + weighted_error * gx, ex1 + weighted_error * gx * px
            ey0, ey1 = ey0 + weighted_error * gy, ey1 + weighted_error * gy * px
        row_sums[0], row_sums[1], row_sums[2] = (xx0, xx1, xx2), (xy0, xy1, xy2), (yy0, yy1, yy2)
        row_sums[3], row_sums[4] = (ex0, ex1, 0.0), (ey0, ey1, 0.0)
        _add_row(row_sums, (y + 0.5) / height - 0.5, equations)
    for term in range(6):
        for other in range(term):
            equations[term, other] = equations[other, term]
    return equations


@cached_njit
def _add_row(row_sums: NDArray[np.float64], y: float, equations: NDArray[np.float64]) -> None:
    """Add the sums of one row at height `y` to the upper triangle of the equations. The terms are
    gx times (x, y, 1), then gy times (x, y, 1).
    """
    for pair, (first, second) in enumerate(((0, 0), (0, 3), (3, 3))):
        one, x, xx = row_sums[pair, 0], row_sums[pair, 1], row_sums[pair, 2]
        products = ((xx, x * y, x), (x * y, one * y * y, one * y), (x, one * y, one))
        for term in range(3):
            for other in range(3):
                equations[first + term, second + other] += products[term][other]
    for pair, first in ((3, 0), (4, 3)):
        equations[first, 6] += row_sums[pair, 1]
        equations[first + 1, 6] += row_sums[pair, 0] * y
        equations[first + 2, 6] += row_sums[pair, 0]
