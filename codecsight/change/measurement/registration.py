"""The codec's account of the camera's motion, made exact by the pixels.

Vectors are quantised and their errors add up over frames. Where the camera moved, one picture is
therefore aligned with the other by a few Gauss-Newton steps on brightness (Lucas & Kanade 1981,
for an affine motion; the gradient is the fixed picture's, as Baker & Matthews 2004 have it), with
Cauchy weights, so that what changed does not pull.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix, largest_shift
from codecsight.change.measurement.exposure import fit
from codecsight.change.measurement.yuv_planes import Plane
from codecsight.jit import cached_njit

_STEPS = 3
_POINTS = 4000  # about so many are plenty for six unknowns,
_SPARSER = 2  # and every other row and column of them for the light
_FAR = 3.0  # pixels: a step as large as this has lost its way
_DONE = 0.02
_LEAST = 2.0  # grey levels by which good points may differ
_STIFF = 0.5  # pixels at the border that zoom and roll must make to be believed
_DRIFT = 5.0  # pixels of it that the codec's account makes up in a second
_SHIFT, _AFFINE = [2, 5], [0, 1, 2, 3, 4, 5]
Light = tuple[float, float]  # gain and offset
_WHOLE = 0.999  # of a pixel known: all of it, but for rounding


def register(new: Plane, old: Plane, known: Plane, motion: AffineMatrix) -> AffineMatrix:
    """A better `motion` for `old` to look like `new`, or the same if there is none: the brightness
    of pictures of any size. Of `old` only what is `known` counts.

    Most cameras turn a little and do nothing else. So a shift alone is tried first, and kept if
    the pixels don't ask for more: what noise makes of zoom and roll would be felt at the borders.
    """
    height, width = new.shape
    thin = max(1, round((new.size / _POINTS) ** 0.5))
    before, after = _pairs(new, old, known, motion, _SPARSER * thin)
    if not before.size:
        return motion
    light = _light(before, after)
    centre = np.array([width / 2, height / 2, 1.0])
    shift = np.eye(3)
    shift[:2, 2] = (motion @ centre - centre)[:2]
    if largest_shift(motion - shift + np.eye(3), width, height) < _DRIFT:
        shift = _refined(new, old, known, shift, light, _SHIFT)
        more = _step(new, old, known, shift, light, _AFFINE)
        if more is None or np.abs(more[:, :2]).sum(axis=1).max() / 2 < _STIFF:
            return shift
    return _refined(new, old, known, motion, light, _AFFINE)


def _refined(
    new: Plane, old: Plane, known: Plane, motion: AffineMatrix, light: Light, terms: list[int]
) -> AffineMatrix:
    refined = motion
    for _ in range(_STEPS):
        step = _step(new, old, known, refined, light, terms)
        if step is None or np.abs(step[:, 2]).max() > _FAR:
            return motion
        correction = np.eye(3)
        correction[:2] += step
        refined = refined @ _centred(correction, *new.shape)
        if np.abs(step[:, 2]).max() < _DONE:
            break
    return refined


def _step(
    new: Plane, old: Plane, known: Plane, motion: AffineMatrix, light: Light, terms: list[int]
) -> NDArray[np.float64] | None:
    """[2, 3]: the motion by which `old` lies off `new`, about the picture's centre, of which only
    some `terms` may differ from 0.
    """
    thin = max(1, round((new.size / _POINTS) ** 0.5))
    error = _error(new, old, known, motion, light, _SPARSER * thin)
    if error < 0:
        return None
    sums = _equations(new, old, known, motion, *light, max(_LEAST, 1.5 * error), thin)
    found = np.zeros(6)
    try:
        found[terms] = np.linalg.solve(sums[np.ix_(terms, terms)], sums[terms, 6])
    except np.linalg.LinAlgError:  # nothing to hold on to: a blank wall
        return None
    return found.reshape(2, 3)


def _light(before: Plane, after: Plane) -> Light:
    """Gain and offset between points of two pictures. Noise in the one they are fitted to makes any
    gain too small, so it's taken from both sides.
    """
    there, back = fit(before, after).gain, fit(after, before).gain
    gain = float(np.sqrt(there / back)) if there > 0 and back > 0 else 1.0
    return gain, float(np.median(after - gain * before))


def _centred(correction: AffineMatrix, height: int, width: int) -> AffineMatrix:
    """A motion about the centre, in shares of the picture, as one in pixels from the corner."""
    linear = correction[:2, :2] - np.eye(2)
    matrix = np.eye(3)
    matrix[:2, :2] += linear / np.array([width, height])
    matrix[:2, 2] = correction[:2, 2] - linear @ [0.5, 0.5]
    return matrix


@cached_njit
def _seen(old: Plane, known: Plane, motion: AffineMatrix, x: int, y: int) -> float:
    """What `old` shows at a pixel of the new picture; less than 0 where that isn't known."""
    across = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - 0.5
    down = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2] - 0.5
    col, row = int(np.floor(across)), int(np.floor(down))
    if col < 0 or row < 0 or col >= old.shape[1] - 1 or row >= old.shape[0] - 1:
        return -1.0
    if min(known[row, col], known[row + 1, col + 1]) < _WHOLE:
        return -1.0
    s, t = across - col, down - row
    above = (1 - s) * old[row, col] + s * old[row, col + 1]
    below = (1 - s) * old[row + 1, col] + s * old[row + 1, col + 1]
    return float((1 - t) * above + t * below)


@cached_njit
def _pairs(
    new: Plane, old: Plane, known: Plane, motion: AffineMatrix, thin: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The brightness of some points in the old and in the new picture."""
    height, width = new.shape
    before = np.empty((height // thin + 1) * (width // thin + 1), np.float32)
    after = np.empty_like(before)
    count = 0
    for y in range(0, height, thin):
        for x in range(0, width, thin):
            seen = _seen(old, known, motion, x, y)
            if seen >= 0:
                before[count], after[count] = seen, new[y, x]
                count += 1
    return before[:count], after[:count]


@cached_njit
def _error(
    new: Plane, old: Plane, known: Plane, motion: AffineMatrix, light: Light, thin: int
) -> float:
    """The median error in brightness of some points; less than 0 where none is known."""
    before, after = _pairs(new, old, known, motion, thin)
    if not before.size:
        return -1.0
    for n in range(before.size):
        before[n] = abs(after[n] - light[0] * before[n] - light[1])
    return float(np.median(before))


@cached_njit
def _equations(
    new: Plane,
    old: Plane,
    known: Plane,
    motion: AffineMatrix,
    gain: float,
    offset: float,
    scale: float,
    thin: int,
) -> NDArray[np.float64]:
    """[6, 7]: the step's normal equations over every `thin`-th row and column; places are shares of
    the picture, from its centre.

    Within a row only the place across differs, so that powers of it are all there is to add up.
    """
    height, width = new.shape
    sums, row = np.zeros((6, 7)), np.empty((5, 3))
    narrow, share = 1 / scale, 1 / width
    for y in range(1, height - 1, thin):
        w = wx = wxx = v = vx = vxx = u = ux = uxx = e = ex = d = dx = 0.0
        above, here, below = new[y - 1], new[y], new[y + 1]
        for x in range(1, width - 1, thin):
            seen = _seen(old, known, motion, x, y)
            if seen < 0:
                continue
            error = here[x] - gain * seen - offset
            weight = 1 / (1 + (error * narrow) * (error * narrow))
            across, down = 0.5 * (here[x + 1] - here[x - 1]), 0.5 * (below[x] - above[x])
            at = (x + 0.5) * share - 0.5
            one, two, three = weight * across * across, weight * across * down, weight * down * down
            w, wx, wxx = w + one, wx + one * at, wxx + one * at * at
            v, vx, vxx = v + two, vx + two * at, vxx + two * at * at
            u, ux, uxx = u + three, ux + three * at, uxx + three * at * at
            off = weight * error
            e, ex = e + off * across, ex + off * across * at
            d, dx = d + off * down, dx + off * down * at
        row[0], row[1], row[2] = (w, wx, wxx), (v, vx, vxx), (u, ux, uxx)
        row[3], row[4] = (e, ex, 0.0), (d, dx, 0.0)
        _gather(row, (y + 0.5) / height - 0.5, sums)
    for term in range(6):
        for other in range(term):
            sums[term, other] = sums[other, term]
    return sums


@cached_njit
def _gather(row: NDArray[np.float64], at: float, sums: NDArray[np.float64]) -> None:
    """Add a row's sums, `at` that height, to the upper half of the equations. Its terms are the
    gradient across times (x, y, 1), then the gradient down times the same.
    """
    for pair, (first, second) in enumerate(((0, 0), (0, 3), (3, 3))):
        one, x, xx = row[pair, 0], row[pair, 1], row[pair, 2]
        products = ((xx, x * at, x), (x * at, one * at * at, one * at), (x, one * at, one))
        for term in range(3):
            for other in range(3):
                sums[first + term, second + other] += products[term][other]
    for pair, first in ((3, 0), (4, 3)):
        sums[first, 6] += row[pair, 1]
        sums[first + 1, 6] += row[pair, 0] * at
        sums[first + 2, 6] += row[pair, 0]
