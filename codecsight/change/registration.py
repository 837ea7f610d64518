"""The codec's account of the camera's motion, made exact by the pixels.

Vectors are quantised and their errors add up over frames. Where the camera moved, one picture is
therefore aligned with the other by a few Gauss-Newton steps on brightness (Lucas & Kanade 1981,
for an affine motion), with Cauchy weights, so that what changed does not pull.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.camera_motion import Matrix
from codecsight.change.pixels import luma
from codecsight.change.tone import tone
from codecsight.change.warp import Cover, Picture, warp, warp_cover

_STEPS = 3
_THIN = 2  # every other pixel is plenty for six unknowns
_FAR = 3.0  # pixels: a step as large as this has lost its way
_DONE = 0.02


def register(new: Picture, old: Picture, known: Cover, motion: Matrix) -> Matrix:
    """A better `motion` for `old` to look like `new`, or the same if there is none. Both are
    [h, w, 3] of any size; of `old` only what is `known` [h, w] counts.
    """
    target = luma(new)
    height, width = target.shape
    refined = motion
    for _ in range(_STEPS):
        seen = luma(warp(old, refined, (width, height)))
        step = _step(target, seen, warp_cover(known, refined, (width, height)) == 255)
        if step is None or np.abs(step[:, 2]).max() > _FAR:
            return motion
        correction = np.eye(3)
        correction[:2] += step
        refined = refined @ _centred(correction, height, width)
        if np.abs(step[:, 2]).max() < _DONE:
            break
    return refined


def _step(
    new: NDArray[np.float32], old: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """[2, 3]: the motion by which `old` lies off `new`, about the picture's centre."""
    old = tone(old, new).of_plane(old, new)
    inner = (slice(1, -1, _THIN), slice(1, -1, _THIN))
    across = ((old[1:-1, 2:] - old[1:-1, :-2]) / 2)[::_THIN, ::_THIN]
    down = ((old[2:, 1:-1] - old[:-2, 1:-1]) / 2)[::_THIN, ::_THIN]
    error = (new - old)[inner]
    weight = known[inner] / (1 + (error / max(2.0, 1.5 * float(np.median(np.abs(error))))) ** 2)
    height, width = error.shape
    x = (np.arange(width) - (width - 1) / 2) / width
    y = ((np.arange(height) - (height - 1) / 2) / height)[:, None]
    terms = [gradient * place for gradient in (across, down) for place in (x, y, 1.0)]
    columns = np.stack([term.ravel() for term in terms])
    weighted = columns * weight.ravel()
    try:
        found = np.linalg.solve(weighted @ columns.T, weighted @ error.ravel())
    except np.linalg.LinAlgError:  # nothing to hold on to: a blank wall
        return None
    return np.asarray(found, np.float64).reshape(2, 3)


def _centred(correction: Matrix, height: int, width: int) -> Matrix:
    """A motion about the centre, in shares of the picture, as one in pixels from the corner."""
    linear = correction[:2, :2] - np.eye(2)
    matrix = np.eye(3)
    matrix[:2, :2] += linear / np.array([width, height])
    matrix[:2, 2] = correction[:2, 2] - linear @ [0.5, 0.5]
    return matrix
