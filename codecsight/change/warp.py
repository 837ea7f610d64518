"""Pictures as another pose of the camera would show them.

Matrices map points: (x, y) of the middle of the first pixel is (0.5, 0.5).
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.camera_motion import Matrix
from codecsight.change.planes import Plane, Planes
from codecsight.compiled import compiled

_UNTURNED = np.eye(2)


def warp(picture: Planes, known: Plane, motion: Matrix, out: Planes) -> Plane:
    """Into `out` [n, h, w] the first n planes of the picture in which each point shows what
    `picture` has at `motion` of it. Returns how much of each pixel is known, [h, w] up to 1, where
    `known` says it of `picture`; beyond its borders nothing is.
    """
    if (motion[:2, :2] == _UNTURNED).all():
        return _slid(picture, known, motion[0, 2], motion[1, 2], out)
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


def lay(
    new: Planes, kept: NDArray[np.bool_], motion: Matrix, picture: Planes, known: Plane
) -> None:
    """Put the `kept` cells of `new`, whose points are at `motion` of themselves in `picture`, into
    that; they are `known` from now on.
    """
    unturned = bool((motion[:2, :2] == _UNTURNED).all())
    back = np.asarray(np.linalg.inv(motion), np.float64)
    _lay_cells(new, kept, unturned, motion, back, picture, known)


@compiled
def _lay_cells(
    new: Planes,
    kept: NDArray[np.bool_],
    unturned: bool,
    motion: Matrix,
    back: Matrix,
    picture: Planes,
    known: Plane,
) -> None:
    rows, cols = kept.shape
    size = new.shape[1] // rows, new.shape[2] // cols
    for row in range(rows):
        for col in range(cols):
            if not kept[row, col]:
                continue
            inner = 0 < row < rows - 1 and 0 < col < cols - 1
            if unturned and inner:
                _lay_slid(new, (row, col), size, back[0, 2], back[1, 2], picture, known)
            else:
                box = _box((row, col), size, motion, known.shape)
                _lay(new, (row, col), size, back, box, picture, known)


@compiled
def _box(
    cell: tuple[int, int], size: tuple[int, int], motion: Matrix, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Where a cell comes to lie: left, top, right, bottom."""
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


@compiled
def _lay_slid(
    new: Planes,
    cell: tuple[int, int],
    size: tuple[int, int],
    across: float,
    down: float,
    picture: Planes,
    known: Plane,
) -> None:
    """Put a cell that is not at the border of `new` into a picture whose points are `across` and
    `down` from there in `new`: then all pixels of it are blended by the same weights.
    """
    left, top, one = int(np.floor(across)), int(np.floor(down)), np.float32(1)
    s, t = np.float32(across - left), np.float32(down - top)
    # The pixels whose middles come to lie in the cell, and in the picture.
    first = max(int(np.ceil(cell[1] * size[1] - across - 0.5)), 0)
    last = min(int(np.ceil((cell[1] + 1) * size[1] - across - 0.5)), known.shape[1])
    begin = max(int(np.ceil(cell[0] * size[0] - down - 0.5)), 0)
    end = min(int(np.ceil((cell[0] + 1) * size[0] - down - 0.5)), known.shape[0])
    if last <= first:
        return
    blended = np.empty(last - first + 3, np.float32)
    for y in range(begin, end):
        known[y, first:last] = one
        for n in range(new.shape[0]):
            _blend(new[n], y + top - 1, first + left - 1, t, blended)
            _along(blended, s, picture[n, y, first:last])


@compiled
def _lay(
    new: Planes,
    cell: tuple[int, int],
    size: tuple[int, int],
    back: Matrix,
    box: tuple[int, int, int, int],
    picture: Planes,
    known: Plane,
) -> None:
    """Put one cell of that size into what lies within `box` (left, top, right, bottom)."""
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
                _sample(new, across - 0.5, down - 0.5, picture, y, x)
                known[y, x] = max(known[y, x], covered)


@compiled
def _inside(at: float, length: int) -> float:
    """How much of a pixel whose middle is `at` lies within the picture."""
    return max(min(at + 0.5, length - at + 0.5, 1.0), 0.0)


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
def _slid(picture: Planes, known: Plane, across: float, down: float, out: Planes) -> Plane:
    """The same where all points move alike: then each row is blended of the same four rows of
    `picture` by the same weights, and so is each column.
    """
    height, width = out.shape[1:]
    left, top = int(np.floor(across)), int(np.floor(down))
    s, t = np.float32(across - left), np.float32(down - top)
    cover = _slid_cover(known, left, top, s, t, height, width)
    blended = np.empty(width + 3, np.float32)
    for y in range(height):
        for n in range(out.shape[0]):
            _blend(picture[n], y + top - 1, left - 1, t, blended)
            into, covered = out[n, y], cover[y]
            _along(blended, s, into)
            for x in range(width):
                into[x] = into[x] if covered[x] > 0 else np.float32(0)
    return cover


@compiled
def _along(blended: NDArray[np.float32], s: np.float32, into: NDArray[np.float32]) -> None:
    """What lies `s` beyond the second of every four columns of a row [w + 3], into [w]."""
    one = np.float32(1)
    a, b, c, d = _outer(s), _inner(s), _inner(one - s), _outer(one - s)
    width = into.size
    p, q, u, v = blended[:width], blended[1:], blended[2:], blended[3:]
    for x in range(width):
        into[x] = a * p[x] + b * q[x] + c * u[x] + d * v[x]


@compiled
def _blend(plane: Plane, top: int, left: int, t: np.float32, blended: NDArray[np.float32]) -> None:
    """Four rows from `top` on as one, from column `left` on, borders repeated."""
    bottom, right, one = plane.shape[0] - 1, plane.shape[1] - 1, np.float32(1)
    p, q = plane[min(max(top, 0), bottom)], plane[min(max(top + 1, 0), bottom)]
    u, v = plane[min(max(top + 2, 0), bottom)], plane[min(max(top + 3, 0), bottom)]
    a, b, c, d = _outer(t), _inner(t), _inner(one - t), _outer(one - t)
    first = min(max(-left, 0), blended.size)
    last = max(min(right + 1 - left, blended.size), first)
    # In slices, since an index with an offset is not known to be positive, and then not vectorised.
    there, inner = slice(first + left, last + left), blended[first:last]
    p_in, q_in, u_in, v_in = p[there], q[there], u[there], v[there]
    for x in range(inner.size):
        inner[x] = a * p_in[x] + b * q_in[x] + c * u_in[x] + d * v_in[x]
    for x in range(first):
        blended[x] = a * p[0] + b * q[0] + c * u[0] + d * v[0]
    for x in range(last, blended.size):
        blended[x] = a * p[right] + b * q[right] + c * u[right] + d * v[right]


@compiled
def _slid_cover(
    known: Plane, left: int, top: int, s: np.float32, t: np.float32, height: int, width: int
) -> Plane:
    """How much is known of every point [height, width] of a picture that slid."""
    cover, one = np.empty((height, width), np.float32), np.float32(1)
    first = min(max(-left, 0), width)
    last = max(min(known.shape[1] - 1 - left, width), first)
    for y in range(height):
        row = y + top
        inside = 0 <= row < known.shape[0] - 1
        if inside:
            here, there = slice(first + left, last + left), slice(first + left + 1, last + left + 1)
            a, b = known[row, here], known[row, there]
            c, d = known[row + 1, here], known[row + 1, there]
            into = cover[y, first:last]
            for x in range(into.size):
                over, under = (one - s) * a[x] + s * b[x], (one - s) * c[x] + s * d[x]
                into[x] = (one - t) * over + t * under
        for x in range(first if inside else width):
            cover[y, x] = _covered(known, x + left + float(s), row + float(t))
        for x in range(last if inside else width, width):
            cover[y, x] = _covered(known, x + left + float(s), row + float(t))
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
