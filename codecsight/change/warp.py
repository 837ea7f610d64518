"""Pictures as another pose of the camera would show them.

Matrices map points: (x, y) of the middle of the first pixel is (0.5, 0.5).
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.camera_motion import Matrix
from codecsight.change.planes import Plane, Planes
from codecsight.compiled import compiled


def warp(picture: Planes, known: Plane, motion: Matrix, out: Planes) -> Plane:
    """Into `out` [n, h, w] the first n planes of the picture in which each point shows what
    `picture` has at `motion` of it. Returns how much of each pixel is known, [h, w] up to 1, where
    `known` says it of `picture`; beyond its borders nothing is.
    """
    return _warp(picture, known, motion, out)


def rolled(planes: Planes, x: int, y: int) -> Planes:
    """The same for whole pixels, of which nothing is lost; zero where there is nothing."""
    height, width = planes.shape[1:]
    moved = np.zeros_like(planes)
    rows, from_rows = _overlap(height, y)
    cols, from_cols = _overlap(width, x)
    moved[:, rows, cols] = planes[:, from_rows, from_cols]
    return moved


def translation(x: float, y: float) -> Matrix:
    """The motion by (x, y) pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def _overlap(length: int, by: int) -> tuple[slice, slice]:
    by = min(max(by, -length), length)
    return slice(max(-by, 0), length - max(by, 0)), slice(max(by, 0), length + min(by, 0))


@compiled
def lay(
    new: Planes, kept: NDArray[np.bool_], motion: Matrix, picture: Planes, known: Plane
) -> None:
    """Put the `kept` cells of `new` into `picture`, whose points are at `motion` of themselves in
    `new`; they are `known` from now on.
    """
    height, width = new.shape[1:]
    high, wide = height // kept.shape[0], width // kept.shape[1]
    for y in range(picture.shape[1]):
        for x in range(picture.shape[2]):
            across = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2]
            down = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2]
            covered = _inside(across, width) * _inside(down, height)
            if covered <= 0:
                continue
            row = min(max(int(down), 0), height - 1) // high
            col = min(max(int(across), 0), width - 1) // wide
            if kept[row, col] and (covered >= 0.5 or covered > known[y, x]):
                _sample(new, across - 0.5, down - 0.5, picture, y, x)
                known[y, x] = max(known[y, x], covered)


@compiled
def _inside(at: float, length: int) -> float:
    """How much of a pixel whose middle is `at` lies within the picture."""
    return min(at + 0.5, length - at + 0.5, 1.0)


@compiled
def _warp(picture: Planes, known: Plane, motion: Matrix, out: Planes) -> Plane:
    height, width = out.shape[1:]
    cover = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            across = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - 0.5
            down = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2] - 0.5
            cover[y, x] = _covered(known, across, down)
            if cover[y, x] > 0:
                _sample(picture, across, down, out, y, x)
            else:
                out[:, y, x] = 0
    return cover


@compiled
def _covered(known: Plane, x: float, y: float) -> np.float32:
    """How much is known of a point between four pixels: bilinear."""
    height, width = known.shape
    col, row = int(np.floor(x)), int(np.floor(y))
    s, t, one = np.float32(x - col), np.float32(y - row), np.float32(1)
    if 0 <= row < height - 1 and 0 <= col < width - 1:
        above = (one - s) * known[row, col] + s * known[row, col + 1]
        below = (one - s) * known[row + 1, col] + s * known[row + 1, col + 1]
        return np.float32((one - t) * above + t * below)
    inside = -1 < x < width and -1 < y < height  # half a pixel beyond the border, half is known
    if not inside:
        return np.float32(0)
    near = known[min(max(int(np.rint(y)), 0), height - 1), min(max(int(np.rint(x)), 0), width - 1)]
    across = min(x + 1, width - x, 1.0)
    return np.float32(near * across * min(y + 1, height - y, 1.0))


@compiled
def _sample(picture: Planes, x: float, y: float, out: Planes, row: int, col: int) -> None:
    """What `picture` has between its pixels, bicubic (Catmull-Rom), borders repeated."""
    bottom, right = picture.shape[1] - 1, picture.shape[2] - 1
    left, top = int(np.floor(x)), int(np.floor(y))
    i, j = min(max(left - 1, 0), right), min(max(left, 0), right)
    k, m = min(max(left + 1, 0), right), min(max(left + 2, 0), right)
    e, f = min(max(top - 1, 0), bottom), min(max(top, 0), bottom)
    g, h = min(max(top + 1, 0), bottom), min(max(top + 2, 0), bottom)
    s, t = np.float32(x - left), np.float32(y - top)
    a, b, c, d = _outer(s), _inner(s), _inner(np.float32(1) - s), _outer(np.float32(1) - s)
    for n in range(out.shape[0]):
        p, q, u, v = picture[n, e, i], picture[n, e, j], picture[n, e, k], picture[n, e, m]
        value = _outer(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, f, i], picture[n, f, j], picture[n, f, k], picture[n, f, m]
        value += _inner(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, g, i], picture[n, g, j], picture[n, g, k], picture[n, g, m]
        value += _inner(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, h, i], picture[n, h, j], picture[n, h, k], picture[n, h, m]
        value += _outer(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        out[n, row, col] = value


@compiled
def _outer(s: np.float32) -> np.float32:
    """The weight of the outer pixel before a point `s` beyond the inner one."""
    return np.float32(0.5) * s * (s * (np.float32(2) - s) - np.float32(1))


@compiled
def _inner(s: np.float32) -> np.float32:
    """The weight of the inner pixel before a point `s` beyond it."""
    return np.float32(1) + s * s * (np.float32(1.5) * s - np.float32(2.5))
