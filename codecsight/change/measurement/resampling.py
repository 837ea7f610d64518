"""What a picture has between its pixels, bicubic (Catmull-Rom), borders repeated; and how much is
known there, where some of it isn't.

Along a row of points that a slow motion gives, neighbours nearly always lie between neighbouring
pixels of the same rows. Such a run is blended of slices, as machine code for many points at once;
what is left, point by point, with the very same numbers.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix
from codecsight.change.measurement.yuv_planes import Plane, Planes
from codecsight.jit import cached_njit

Line = NDArray[np.float32]
"""[w] in grey levels, or shares."""
Places = NDArray[np.float64]
"""[w]: where points lie along one axis; 0 is the middle of the first pixel."""
Firsts = NDArray[np.int32]
"""[w]: the pixels before those places."""
Points = tuple[Places, Places, Firsts, Firsts, Line, Line]
"""Places across and down, the pixels before them, and how far beyond those they lie."""
_SHORT = 24  # points that are sooner done one by one


@cached_njit
def points(motion: AffineMatrix, left: int, y: int, width: int) -> Points:
    """Where `motion` takes so many pixels of row `y` from column `left` on."""
    xs, ys = np.empty(width), np.empty(width)
    for n in range(width):
        x = left + n
        xs[n] = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - 0.5
        ys[n] = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2] - 0.5
    lefts, s = _split(xs)
    tops, t = _split(ys)
    return xs, ys, lefts, tops, s, t


@cached_njit
def samples(picture: Planes, points: Points, covered: Line, out: Plane) -> None:
    """Into `out` [n, w] the first n planes of the picture at w points; 0 at those that are not
    `covered` at all.
    """
    xs, ys, lefts, tops, s, t = points
    bottom, right = picture.shape[1] - 1, picture.shape[2] - 1
    begin = 0
    while begin < xs.size:
        left, top = lefts[begin], tops[begin]
        end = _run(lefts, tops, begin, 1, right - 2) if 0 < top < bottom - 1 else begin + 1
        if end - begin < _SHORT:
            for n in range(begin, end):
                if covered[n] > 0:
                    sample(picture, xs[n], ys[n], out[:, n])
        else:
            across, down = _weights(s[begin:end]), _weights(t[begin:end])
            for n in range(out.shape[0]):
                _blended(picture[n], top - 1, left - 1, across, down, out[n, begin:end])
        begin = end
    for n in range(out.shape[0]):
        only(out[n], covered)


@cached_njit
def only(values: Line, covered: Line) -> None:
    """Make nothing of values of which nothing is `covered`."""
    for x in range(values.size):
        values[x] = values[x] if covered[x] > 0 else np.float32(0)


@cached_njit
def covers(known: Plane, points: Points, out: Line) -> None:
    """Into `out` [w] how much is known of w points."""
    xs, ys, lefts, tops, s, t = points
    bottom, right = known.shape[0] - 1, known.shape[1] - 1
    begin = 0
    while begin < xs.size:
        left, top = lefts[begin], tops[begin]
        end = _run(lefts, tops, begin, 0, right - 1) if 0 <= top < bottom else begin + 1
        if end - begin < _SHORT:
            for n in range(begin, end):
                out[n] = cover(known, xs[n], ys[n])
        else:
            above, below = known[top, left:], known[top + 1, left:]
            between(above, below, s[begin:end], t[begin:end], out[begin:end])
        begin = end


@cached_njit
def _split(places: Places) -> tuple[Firsts, Line]:
    """The pixels before places, and how far beyond them those lie."""
    firsts, rest = np.empty(places.size, np.int32), np.empty(places.size, np.float32)
    for n in range(places.size):
        first = np.floor(places[n])
        firsts[n], rest[n] = first, places[n] - first
    return firsts, rest


@cached_njit
def _weights(rest: Line) -> Plane:
    """Those of the four pixels around each place: [4, w]."""
    one, weights = np.float32(1), np.empty((4, rest.size), np.float32)
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for n in range(rest.size):
        s = rest[n]
        a[n], b[n], c[n], d[n] = outer(s), inner(s), inner(one - s), outer(one - s)
    return weights


@cached_njit
def _run(lefts: Firsts, tops: Firsts, begin: int, first: int, last: int) -> int:
    """Up to where points from `begin` on follow each other pixel by pixel, in one row, from column
    `first` to `last`: at least one of them.
    """
    if not first <= lefts[begin] <= last:
        return begin + 1
    most = min(lefts.size, begin + last - lefts[begin] + 1)
    end = begin + 1
    while end < most and lefts[end] == lefts[end - 1] + 1 and tops[end] == tops[begin]:
        end += 1
    return int(end)


@cached_njit
def _blended(plane: Plane, top: int, left: int, across: Plane, down: Plane, out: Line) -> None:
    """Points that follow each other, of four rows from `top` on, from column `left` on."""
    lines, width = np.empty((4, out.size), np.float32), out.size
    a, b, c, d = across[0], across[1], across[2], across[3]
    for row in range(4):
        here, into = plane[top + row, left:], lines[row]
        p, q, u, v = here, here[1:], here[2:], here[3:]
        for x in range(width):
            into[x] = a[x] * p[x] + b[x] * q[x] + c[x] * u[x] + d[x] * v[x]
    a, b, c, d = down[0], down[1], down[2], down[3]
    p, q, u, v = lines[0], lines[1], lines[2], lines[3]
    for x in range(width):
        out[x] = a[x] * p[x] + b[x] * q[x] + c[x] * u[x] + d[x] * v[x]


@cached_njit
def between(above: Line, below: Line, s: Line, t: Line, out: Line) -> None:
    """Bilinear, of two rows of pixels."""
    one = np.float32(1)
    a, b, c, d = above, above[1:], below, below[1:]
    for x in range(out.size):
        over, under = (one - s[x]) * a[x] + s[x] * b[x], (one - s[x]) * c[x] + s[x] * d[x]
        out[x] = (one - t[x]) * over + t[x] * under


@cached_njit
def sample(picture: Planes, x: float, y: float, out: Line) -> None:
    """Into `out` [n] the first n planes of the picture at one point."""
    bottom, right = picture.shape[1] - 1, picture.shape[2] - 1
    left, top = int(np.floor(x)), int(np.floor(y))
    i, j = min(max(left - 1, 0), right), min(max(left, 0), right)
    k, m = min(max(left + 1, 0), right), min(max(left + 2, 0), right)
    e, f = min(max(top - 1, 0), bottom), min(max(top, 0), bottom)
    g, h = min(max(top + 1, 0), bottom), min(max(top + 2, 0), bottom)
    s, t = np.float32(x - left), np.float32(y - top)
    a, b, c, d = outer(s), inner(s), inner(np.float32(1) - s), outer(np.float32(1) - s)
    for n in range(out.shape[0]):
        p, q, u, v = picture[n, e, i], picture[n, e, j], picture[n, e, k], picture[n, e, m]
        value = outer(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, f, i], picture[n, f, j], picture[n, f, k], picture[n, f, m]
        value += inner(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, g, i], picture[n, g, j], picture[n, g, k], picture[n, g, m]
        value += inner(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = picture[n, h, i], picture[n, h, j], picture[n, h, k], picture[n, h, m]
        value += outer(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        out[n] = value


@cached_njit
def cover(known: Plane, x: float, y: float) -> np.float32:
    """How much is known of one point, up to 1: bilinear, and nothing beyond the borders."""
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


@cached_njit
def along(blended: NDArray[np.float32], s: np.float32, into: NDArray[np.float32]) -> None:
    """What lies `s` beyond the second of every four columns of a row [w + 3], into [w]."""
    one = np.float32(1)
    a, b, c, d = outer(s), inner(s), inner(one - s), outer(one - s)
    width = into.size
    p, q, u, v = blended[:width], blended[1:], blended[2:], blended[3:]
    for x in range(width):
        into[x] = a * p[x] + b * q[x] + c * u[x] + d * v[x]


@cached_njit
def blend(plane: Plane, top: int, left: int, t: np.float32, blended: NDArray[np.float32]) -> None:
    """Four rows from `top` on as one, from column `left` on, borders repeated."""
    bottom, right, one = plane.shape[0] - 1, plane.shape[1] - 1, np.float32(1)
    p, q = plane[min(max(top, 0), bottom)], plane[min(max(top + 1, 0), bottom)]
    u, v = plane[min(max(top + 2, 0), bottom)], plane[min(max(top + 3, 0), bottom)]
    a, b, c, d = outer(t), inner(t), inner(one - t), outer(one - t)
    first = min(max(-left, 0), blended.size)
    last = max(min(right + 1 - left, blended.size), first)
    # In slices, since an index with an offset is not known to be positive, and then not vectorised.
    there, into = slice(first + left, last + left), blended[first:last]
    p_in, q_in, u_in, v_in = p[there], q[there], u[there], v[there]
    for x in range(into.size):
        into[x] = a * p_in[x] + b * q_in[x] + c * u_in[x] + d * v_in[x]
    for x in range(first):
        blended[x] = a * p[0] + b * q[0] + c * u[0] + d * v[0]
    for x in range(last, blended.size):
        blended[x] = a * p[right] + b * q[right] + c * u[right] + d * v[right]


@cached_njit
def outer(s: np.float32) -> np.float32:
    """The weight of the outer pixel before a point `s` beyond the inner one."""
    return np.float32(0.5) * s * (s * (np.float32(2) - s) - np.float32(1))


@cached_njit
def inner(s: np.float32) -> np.float32:
    """The weight of the inner pixel before a point `s` beyond it."""
    return np.float32(1) + s * s * (np.float32(1.5) * s - np.float32(2.5))
