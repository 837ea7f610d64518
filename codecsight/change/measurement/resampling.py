"""Resampling between pixels: bicubic interpolation of pictures, bilinear of visibility.

Bicubic is Catmull-Rom (Keys 1981, a = -0.5) with replicated borders. Coordinates have the centre of
the first pixel at 0. Under a small motion, neighbouring points of a row nearly always lie between
neighbouring pixels of the same rows. Such a run of points is computed on slices, which compiles to
vector instructions; the rest is computed point by point, with the same arithmetic and results.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix
from codecsight.change.measurement.yuv_planes import Plane, Planes
from codecsight.jit import cached_njit

Line = NDArray[np.float32]
"""[w]: grey levels, visibility, or fractions of a pixel."""
Coordinates = NDArray[np.float64]
"""[w]: coordinates of points along one axis; 0 is the centre of the first pixel."""
Indices = NDArray[np.int32]
"""[w]: indices of the pixels at or before those points (floor)."""
RowPoints = tuple[Coordinates, Coordinates, Indices, Indices, Line, Line]
"""Of w points: x, y, their floors (columns, rows), and their fractional parts (s, t)."""
_MIN_RUN = 24  # shorter runs are faster point by point


@cached_njit
def transform_row(motion: AffineMatrix, left: int, y: int, width: int) -> RowPoints:
    """Map `width` pixels of row `y`, from column `left` on, by `motion`."""
    xs, ys = np.empty(width), np.empty(width)
    for n in range(width):
        x = left + n
        xs[n] = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - 0.5
        ys[n] = motion[1, 0] * (x + 0.5) + motion[1, 1] * (y + 0.5) + motion[1, 2] - 0.5
    cols, s = _floor_and_fraction(xs)
    rows, t = _floor_and_fraction(ys)
    return xs, ys, cols, rows, s, t


@cached_njit
def bicubic_row(image: Planes, points: RowPoints, visibility: Line, out: Plane) -> None:
    """Sample the first n planes of `image` at w points into `out` [n, w]; 0 at points whose
    `visibility` [w] is 0.
    """
    xs, ys, cols, rows, s, t = points
    bottom, right = image.shape[1] - 1, image.shape[2] - 1
    begin = 0
    while begin < xs.size:
        left, top = cols[begin], rows[begin]
        # Runs need all 4 x 4 pixels inside the picture: no replicated border.
        end = _run_end(cols, rows, begin, 1, right - 2) if 0 < top < bottom - 1 else begin + 1
        if end - begin < _MIN_RUN:
            for n in range(begin, end):
                if visibility[n] > 0:
                    bicubic_at(image, xs[n], ys[n], out[:, n])
        else:
            x_weights, y_weights = _bicubic_weights(s[begin:end]), _bicubic_weights(t[begin:end])
            for n in range(out.shape[0]):
                _bicubic_run(image[n], top - 1, left - 1, x_weights, y_weights, out[n, begin:end])
        begin = end
    for n in range(out.shape[0]):
        clear_invisible(out[n], visibility)


@cached_njit
def clear_invisible(values: Line, visibility: Line) -> None:
    """Set values [w] to 0 where the visibility is 0, in place."""
    for x in range(values.size):
        values[x] = values[x] if visibility[x] > 0 else np.float32(0)


@cached_njit
def visibility_row(visibility: Plane, points: RowPoints, out: Line) -> None:
    """Sample `visibility` at w points into `out` [w], bilinear."""
    xs, ys, cols, rows, s, t = points
    bottom, right = visibility.shape[0] - 1, visibility.shape[1] - 1
    begin = 0
    while begin < xs.size:
        left, top = cols[begin], rows[begin]
        end = _run_end(cols, rows, begin, 0, right - 1) if 0 <= top < bottom else begin + 1
        if end - begin < _MIN_RUN:
            for n in range(begin, end):
                out[n] = visibility_at(visibility, xs[n], ys[n])
        else:
            above, below = visibility[top, left:], visibility[top + 1, left:]
            _bilinear_run(above, below, s[begin:end], t[begin:end], out[begin:end])
        begin = end


@cached_njit
def _floor_and_fraction(coordinates: Coordinates) -> tuple[Indices, Line]:
    """Integer and fractional part of coordinates [w]."""
    floors = np.empty(coordinates.size, np.int32)
    fractions = np.empty(coordinates.size, np.float32)
    for n in range(coordinates.size):
        floor = np.floor(coordinates[n])
        floors[n], fractions[n] = floor, coordinates[n] - floor
    return floors, fractions


@cached_njit
def _bicubic_weights(fractions: Line) -> Plane:
    """Weights of the four pixels around each of w points: [4, w]."""
    one, weights = np.float32(1), np.empty((4, fractions.size), np.float32)
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for n in range(fractions.size):
        s = fractions[n]
        a[n], b[n], c[n], d[n] = (
            outer_weight(s),
            inner_weight(s),
            inner_weight(one - s),
            outer_weight(one - s),
        )
    return weights


@cached_njit
def _run_end(cols: Indices, rows: Indices, begin: int, first: int, last: int) -> int:
    """End (exclusive) of the run that starts at `begin`: points whose pixels are consecutive, in
    one row, in columns `first` to `last`. At least one point.
    """
    if not first <= cols[begin] <= last:
        return begin + 1
    limit = min(cols.size, begin + last - cols[begin] + 1)
    end = begin + 1
    while end < limit and cols[end] == cols[end - 1] + 1 and rows[end] == rows[begin]:
        end += 1
    return int(end)


@cached_njit
def _bicubic_run(
    plane: Plane, top: int, left: int, x_weights: Plane, y_weights: Plane, out: Line
) -> None:
    """Bicubic values of a run of w points, whose pixels start at (`top`, `left`); weights are
    [4, w].
    """
    lines, width = np.empty((4, out.size), np.float32), out.size
    a, b, c, d = x_weights[0], x_weights[1], x_weights[2], x_weights[3]
    for row in range(4):
        pixels, line = plane[top + row, left:], lines[row]
        p, q, u, v = pixels, pixels[1:], pixels[2:], pixels[3:]
        for x in range(width):
            line[x] = a[x] * p[x] + b[x] * q[x] + c[x] * u[x] + d[x] * v[x]
    a, b, c, d = y_weights[0], y_weights[1], y_weights[2], y_weights[3]
    p, q, u, v = lines[0], lines[1], lines[2], lines[3]
    for x in range(width):
        out[x] = a[x] * p[x] + b[x] * q[x] + c[x] * u[x] + d[x] * v[x]


@cached_njit
def _bilinear_run(above: Line, below: Line, s: Line, t: Line, out: Line) -> None:
    """Bilinear values of a run of points between two rows of pixels."""
    one = np.float32(1)
    a, b, c, d = above, above[1:], below, below[1:]
    for x in range(out.size):
        upper, lower = (one - s[x]) * a[x] + s[x] * b[x], (one - s[x]) * c[x] + s[x] * d[x]
        out[x] = (one - t[x]) * upper + t[x] * lower


@cached_njit
def bicubic_at(image: Planes, x: float, y: float, out: Line) -> None:
    """Sample the first n planes of `image` at one point into `out` [n]."""
    bottom, right = image.shape[1] - 1, image.shape[2] - 1
    left, top = int(np.floor(x)), int(np.floor(y))
    # Columns i, j, k, m and rows e, f, g, h of the 4 x 4 pixels, clamped to the picture.
    i, j = min(max(left - 1, 0), right), min(max(left, 0), right)
    k, m = min(max(left + 1, 0), right), min(max(left + 2, 0), right)
    e, f = min(max(top - 1, 0), bottom), min(max(top, 0), bottom)
    g, h = min(max(top + 1, 0), bottom), min(max(top + 2, 0), bottom)
    s, t = np.float32(x - left), np.float32(y - top)
    a, b, c, d = (
        outer_weight(s),
        inner_weight(s),
        inner_weight(np.float32(1) - s),
        outer_weight(np.float32(1) - s),
    )
    for n in range(out.shape[0]):
        p, q, u, v = image[n, e, i], image[n, e, j], image[n, e, k], image[n, e, m]
        value = outer_weight(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = image[n, f, i], image[n, f, j], image[n, f, k], image[n, f, m]
        value += inner_weight(t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = image[n, g, i], image[n, g, j], image[n, g, k], image[n, g, m]
        value += inner_weight(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        p, q, u, v = image[n, h, i], image[n, h, j], image[n, h, k], image[n, h, m]
        value += outer_weight(np.float32(1) - t) * (a * p + b * q + c * u + d * v)
        out[n] = value


@cached_njit
def visibility_at(visibility: Plane, x: float, y: float) -> np.float32:
    """Visibility of one point, up to 1: bilinear, and 0 beyond the borders."""
    height, width = visibility.shape
    col, row = int(np.floor(x)), int(np.floor(y))
    s, t, one = np.float32(x - col), np.float32(y - row), np.float32(1)
    if 0 <= row < height - 1 and 0 <= col < width - 1:
        above = (one - s) * visibility[row, col] + s * visibility[row, col + 1]
        below = (one - s) * visibility[row + 1, col] + s * visibility[row + 1, col + 1]
        return np.float32((one - t) * above + t * below)
    # A pixel whose centre lies half a pixel beyond the border is half visible.
    inside = -1 < x < width and -1 < y < height
    if not inside:
        return np.float32(0)
    nearest = visibility[
        min(max(int(np.rint(y)), 0), height - 1), min(max(int(np.rint(x)), 0), width - 1)
    ]
    covered_width = min(x + 1, width - x, 1.0)
    return np.float32(nearest * covered_width * min(y + 1, height - y, 1.0))


@cached_njit
def bicubic_columns(values: NDArray[np.float32], s: np.float32, out: NDArray[np.float32]) -> None:
    """Horizontal interpolation with one fraction `s`: a row [w + 3] -> [w], where the first output
    lies `s` beyond the second input.
    """
    one = np.float32(1)
    a, b, c, d = (
        outer_weight(s),
        inner_weight(s),
        inner_weight(one - s),
        outer_weight(one - s),
    )
    width = out.size
    p, q, u, v = values[:width], values[1:], values[2:], values[3:]
    for x in range(width):
        out[x] = a * p[x] + b * q[x] + c * u[x] + d * v[x]


@cached_njit
def bicubic_rows(
    plane: Plane, top: int, left: int, t: np.float32, out: NDArray[np.float32]
) -> None:
    """Vertical interpolation with one fraction `t`: four rows from `top` on -> [w], from column
    `left` on, with replicated borders.
    """
    bottom, right, one = plane.shape[0] - 1, plane.shape[1] - 1, np.float32(1)
    p, q = plane[min(max(top, 0), bottom)], plane[min(max(top + 1, 0), bottom)]
    u, v = plane[min(max(top + 2, 0), bottom)], plane[min(max(top + 3, 0), bottom)]
    a, b, c, d = (
        outer_weight(t),
        inner_weight(t),
        inner_weight(one - t),
        outer_weight(one - t),
    )
    first = min(max(-left, 0), out.size)
    last = max(min(right + 1 - left, out.size), first)
    # Slices, because an index with an offset may be negative to numba, which prevents vectorising.
    span, values = slice(first + left, last + left), out[first:last]
    p_in, q_in, u_in, v_in = p[span], q[span], u[span], v[span]
    for x in range(values.size):
        values[x] = a * p_in[x] + b * q_in[x] + c * u_in[x] + d * v_in[x]
    for x in range(first):
        out[x] = a * p[0] + b * q[0] + c * u[0] + d * v[0]
    for x in range(last, out.size):
        out[x] = a * p[right] + b * q[right] + c * u[right] + d * v[right]


@cached_njit
def outer_weight(s: np.float32) -> np.float32:
    """Catmull-Rom weight of the outer pixel before a point `s` beyond the inner one."""
    return np.float32(0.5) * s * (s * (np.float32(2) - s) - np.float32(1))


@cached_njit
def inner_weight(s: np.float32) -> np.float32:
    """Catmull-Rom weight of the inner pixel before a point `s` beyond it."""
    return np.float32(1) + s * s * (np.float32(1.5) * s - np.float32(2.5))
