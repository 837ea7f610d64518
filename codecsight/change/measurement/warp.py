"""Pictures as another pose of the camera would show them.

Matrices map points: (x, y) of the middle of the first pixel is (0.5, 0.5).
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix
from codecsight.change.measurement.resampling import (
    along,
    blend,
    cover,
    covers,
    only,
    points,
    sample,
    samples,
)
from codecsight.change.measurement.yuv_planes import Plane, Planes
from codecsight.jit import cached_njit

_UNTURNED = np.eye(2)
_STRIP = 4  # pixels from a box's border in which the cell's border is sure to lie
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def warp(picture: Planes, known: Plane, motion: AffineMatrix, out: Planes) -> Plane:
    """Into `out` [n, h, w] the first n planes of the picture in which each point shows what
    `picture` has at `motion` of it. Returns how much of each pixel is known, [h, w] up to 1, where
    `known` says it of `picture`; beyond its borders nothing is.
    """
    if (motion[:2, :2] == _UNTURNED).all():
        return _slid(picture, known, motion[0, 2], motion[1, 2], out)
    return _warp(picture, known, motion, out)


@cached_njit
def roll(planes: Planes, x: int, y: int) -> None:
    """Do the same for whole pixels, in place: of what stays in the picture nothing is lost, and
    what comes into it is zero.
    """
    if x == 0 and y == 0:
        return
    height, width = planes.shape[1:]
    first, last = min(max(-x, 0), width), max(width - max(x, 0), 0)
    line = np.empty(width, np.float32)
    for n in range(planes.shape[0]):
        for step in range(height):
            row = step if y >= 0 else height - 1 - step
            into = planes[n, row]
            if last <= first or not 0 <= row + y < height:
                into[:] = 0
                continue
            line[:] = planes[n, row + y]
            into[:first], into[last:] = 0, 0
            into[first:last] = line[first + x : last + x]


def translation(x: float, y: float) -> AffineMatrix:
    """The motion by (x, y) pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def lay(
    new: Planes, kept: NDArray[np.bool_], motion: AffineMatrix, picture: Planes, known: Plane
) -> None:
    """Put the `kept` cells of `new`, whose points are at `motion` of themselves in `picture`, into
    that; they are `known` from now on.
    """
    unturned = bool((motion[:2, :2] == _UNTURNED).all())
    back = np.asarray(np.linalg.inv(motion), np.float64)
    _lay_cells(new, kept, unturned, motion, back, picture, known)


@cached_njit
def _lay_cells(
    new: Planes,
    kept: NDArray[np.bool_],
    unturned: bool,
    motion: AffineMatrix,
    back: AffineMatrix,
    picture: Planes,
    known: Plane,
) -> None:
    rows, cols = kept.shape
    size = new.shape[1] // rows, new.shape[2] // cols
    for row in range(rows):
        for col in range(cols):
            if not kept[row, col]:
                continue
            box = _box((row, col), size, motion, known.shape)
            if not unturned:
                _lay(new, (row, col), size, back, box, picture, known)
                continue
            by = back[1, 2], back[0, 2]
            down = _span(row, rows, size[0], by[0], known.shape[0])
            across = _span(col, cols, size[1], by[1], known.shape[1])
            _lay_slid(new, down, across, by, picture, known)
            for strip in _border((row, col), kept.shape, box):
                _lay(new, (row, col), size, back, strip, picture, known)


@cached_njit
def _border(cell: tuple[int, int], cells: tuple[int, int], box: Box) -> list[Box]:
    """The strips of a cell's box in which the picture ends, and with it what is known."""
    left, top, right, bottom = box
    strips = [(0, 0, 0, 0) for _ in range(0)]
    if cell[1] == 0:
        strips.append((left, top, min(left + _STRIP, right), bottom))
    if cell[1] == cells[1] - 1:
        strips.append((max(right - _STRIP, left), top, right, bottom))
    if cell[0] == 0:
        strips.append((left, top, right, min(top + _STRIP, bottom)))
    if cell[0] == cells[0] - 1:
        strips.append((left, max(bottom - _STRIP, top), right, bottom))
    return strips


@cached_njit
def _box(
    cell: tuple[int, int], size: tuple[int, int], motion: AffineMatrix, shape: tuple[int, int]
) -> Box:
    """Where a cell comes to lie, with a pixel or two around it."""
    least_x = least_y = np.inf
    most_x = most_y = -np.inf
    for down in range(2):
        for across in range(2):
            x, y = (cell[1] + across) * size[1], (cell[0] + down) * size[0]
            there_x = motion[0, 0] * x + motion[0, 1] * y + motion[0, 2]
            there_y = motion[1, 0] * x + motion[1, 1] * y + motion[1, 2]
            least_x, most_x = min(least_x, there_x), max(most_x, there_x)
            least_y, most_y = min(least_y, there_y), max(most_y, there_y)
    left, top = max(int(np.floor(least_x)) - 1, 0), max(int(np.floor(least_y)) - 1, 0)
    right, bottom = int(np.ceil(most_x)) + 1, int(np.ceil(most_y)) + 1
    return left, top, min(right, shape[1]), min(bottom, shape[0])


@cached_njit
def _span(cell: int, cells: int, size: int, by: float, length: int) -> tuple[int, int]:
    """From which pixel up to which the middles come to lie in a cell, `by` from there, and lie in
    the picture as a whole.
    """
    low = cell * size + (0.5 if cell == 0 else 0.0)
    high = (cell + 1) * size - (0.5 if cell == cells - 1 else 0.0)
    return max(int(np.ceil(low - by - 0.5)), 0), min(int(np.ceil(high - by - 0.5)), length)


@cached_njit
def _lay_slid(
    new: Planes,
    down: tuple[int, int],
    across: tuple[int, int],
    by: tuple[float, float],
    picture: Planes,
    known: Plane,
) -> None:
    """Put so many rows and columns into a picture whose points are `by` from there, down and
    across, in `new`: then all pixels of it are blended by the same weights.
    """
    top, left, one = int(np.floor(by[0])), int(np.floor(by[1])), np.float32(1)
    t, s = np.float32(by[0] - top), np.float32(by[1] - left)
    first, last = across
    if last <= first:
        return
    blended = np.empty(last - first + 3, np.float32)
    for y in range(down[0], down[1]):
        known[y, first:last] = one
        for n in range(new.shape[0]):
            blend(new[n], y + top - 1, first + left - 1, t, blended)
            along(blended, s, picture[n, y, first:last])


@cached_njit
def _lay(
    new: Planes,
    cell: tuple[int, int],
    size: tuple[int, int],
    back: AffineMatrix,
    box: Box,
    picture: Planes,
    known: Plane,
) -> None:
    """Put one cell of that size into what lies within `box`."""
    height, width = new.shape[1:]
    left, top, right, bottom = box
    for y in range(top, bottom):
        for x in range(left, right):
            across = back[0, 0] * (x + 0.5) + back[0, 1] * (y + 0.5) + back[0, 2]
            down = back[1, 0] * (x + 0.5) + back[1, 1] * (y + 0.5) + back[1, 2]
            row = min(max(int(down), 0), height - 1) // size[0]
            col = min(max(int(across), 0), width - 1) // size[1]
            covered = _inside(across, width) * _inside(down, height)
            mine = row == cell[0] and col == cell[1] and covered > 0
            if mine and (covered >= 0.5 or covered > known[y, x]):
                sample(new, across - 0.5, down - 0.5, picture[:, y, x])
                known[y, x] = max(known[y, x], covered)


@cached_njit
def _inside(at: float, length: int) -> float:
    """How much of a pixel whose middle is `at` lies within the picture."""
    return max(min(at + 0.5, length - at + 0.5, 1.0), 0.0)


@cached_njit
def _warp(picture: Planes, known: Plane, motion: AffineMatrix, out: Planes) -> Plane:
    height, width = out.shape[1:]
    covered = np.empty((height, width), np.float32)
    found = np.empty((out.shape[0], width), np.float32)
    for y in range(height):
        row = points(motion, 0, y, width)
        covers(known, row, covered[y])
        samples(picture, row, covered[y], found)
        out[:, y] = found
    return covered


@cached_njit
def _slid(picture: Planes, known: Plane, across: float, down: float, out: Planes) -> Plane:
    """The same where all points move alike: then each row is blended of the same four rows of
    `picture` by the same weights, and so is each column.
    """
    height, width = out.shape[1:]
    left, top = int(np.floor(across)), int(np.floor(down))
    s, t = np.float32(across - left), np.float32(down - top)
    covered = _slid_cover(known, left, top, s, t, height, width)
    blended = np.empty(width + 3, np.float32)
    for y in range(height):
        for n in range(out.shape[0]):
            blend(picture[n], y + top - 1, left - 1, t, blended)
            along(blended, s, out[n, y])
            only(out[n, y], covered[y])
    return covered


@cached_njit
def _slid_cover(
    known: Plane, left: int, top: int, s: np.float32, t: np.float32, height: int, width: int
) -> Plane:
    """How much is known of every point [height, width] of a picture that slid."""
    covered, one = np.empty((height, width), np.float32), np.float32(1)
    first = min(max(-left, 0), width)
    last = max(min(known.shape[1] - 1 - left, width), first)
    for y in range(height):
        row = y + top
        inside = 0 <= row < known.shape[0] - 1
        if inside:
            here, there = slice(first + left, last + left), slice(first + left + 1, last + left + 1)
            a, b = known[row, here], known[row, there]
            c, d = known[row + 1, here], known[row + 1, there]
            into = covered[y, first:last]
            for x in range(into.size):
                over, under = (one - s) * a[x] + s * b[x], (one - s) * c[x] + s * d[x]
                into[x] = (one - t) * over + t * under
        for x in range(first if inside else width):
            covered[y, x] = cover(known, x + left + float(s), row + float(t))
        for x in range(last if inside else width, width):
            covered[y, x] = cover(known, x + left + float(s), row + float(t))
    return covered
