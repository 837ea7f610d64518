"""Affine warping of pictures (`cv2.warpAffine` with inverse mapping), and pasting of warped cells.

Matrices map points: the centre of the first pixel is (0.5, 0.5). A `visibility` plane [h, w] holds
the share of each pixel, up to 1, that a picture covers. Pure translations, the usual case, have a
path of their own: all pixels share the interpolation weights of a row and of a column.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix
from codecsight.change.measurement.resampling import (
    bicubic_at,
    bicubic_columns,
    bicubic_row,
    bicubic_rows,
    clear_invisible,
    transform_row,
    visibility_at,
    visibility_row,
)
from codecsight.change.measurement.yuv_planes import Plane, Planes
from codecsight.jit import cached_njit

_NO_ROTATION = np.eye(2)
_BORDER_STRIP = 4  # pixels inside a cell's bounding box within which the cell's edge is sure to lie
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def warp(image: Planes, visibility: Plane, motion: AffineMatrix, out: Planes) -> Plane:
    """Resample `image` into `out` [n, h, w]: each point of `out` shows `image` at `motion` of it,
    for the first n planes. Returns the visibility of `out` [h, w], given that of `image`; nothing
    is visible beyond the borders of `image`.
    """
    if (motion[:2, :2] == _NO_ROTATION).all():
        return _translate(image, visibility, motion[0, 2], motion[1, 2], out)
    return _warp(image, visibility, motion, out)


def shift_pixels(planes: Planes, x: int, y: int) -> None:
    """Translate planes [n, h, w] by whole pixels in place: out[y0, x0] = planes[y0 + y, x0 + x].
    Pixels from outside are 0.
    """
    rows, columns = _overlap(y, planes.shape[1]), _overlap(x, planes.shape[2])
    moved = planes[:, rows[0], columns[0]].copy()
    planes[:] = 0
    planes[:, rows[1], columns[1]] = moved


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Where pixels that stay in the picture come from, and where they go."""
    shift = min(max(shift, -length), length)
    first, last = max(shift, 0), length + min(shift, 0)
    return slice(first, last), slice(first - shift, last - shift)


def translation(x: float, y: float) -> AffineMatrix:
    """The motion by (x, y) pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def paste_cells(
    new: Planes, kept: NDArray[np.bool_], motion: AffineMatrix, image: Planes, visibility: Plane
) -> None:
    """Resample the `kept` cells [rows, cols] of `new` into `image`, in place. `motion` maps points
    of `new` to points of `image`. Pixels that are written become visible.
    """
    pure_translation = bool((motion[:2, :2] == _NO_ROTATION).all())
    inverse = np.asarray(np.linalg.inv(motion), np.float64)
    _paste_cells(new, kept, pure_translation, motion, inverse, image, visibility)


@cached_njit
def _paste_cells(
    new: Planes,
    kept: NDArray[np.bool_],
    pure_translation: bool,
    motion: AffineMatrix,
    inverse: AffineMatrix,
    image: Planes,
    visibility: Plane,
) -> None:
    rows, cols = kept.shape
    size = new.shape[1] // rows, new.shape[2] // cols
    for row in range(rows):
        for col in range(cols):
            if not kept[row, col]:
                continue
            box = _bounding_box((row, col), size, motion, visibility.shape)
            if not pure_translation:
                _paste_pixels(new, (row, col), size, inverse, box, image, visibility)
                continue
            offset = inverse[1, 2], inverse[0, 2]
            y_range = _pixel_range(row, rows, size[0], offset[0], visibility.shape[0])
            x_range = _pixel_range(col, cols, size[1], offset[1], visibility.shape[1])
            _paste_translated(new, y_range, x_range, offset, image, visibility)
            # Pixels at the border of `new` are visible in part only.
            for strip in _border_strips((row, col), kept.shape, box):
                _paste_pixels(new, (row, col), size, inverse, strip, image, visibility)


@cached_njit
def _border_strips(cell: tuple[int, int], cells: tuple[int, int], box: Box) -> list[Box]:
    """The strips of a cell's bounding box that contain the border of the picture, if the cell lies
    at it.
    """
    left, top, right, bottom = box
    strips = [(0, 0, 0, 0) for _ in range(0)]  # an empty list whose type numba can infer
    if cell[1] == 0:
        strips.append((left, top, min(left + _BORDER_STRIP, right), bottom))
    if cell[1] == cells[1] - 1:
        strips.append((max(right - _BORDER_STRIP, left), top, right, bottom))
    if cell[0] == 0:
        strips.append((left, top, right, min(top + _BORDER_STRIP, bottom)))
    if cell[0] == cells[0] - 1:
        strips.append((left, max(bottom - _BORDER_STRIP, top), right, bottom))
    return strips


@cached_njit
def _bounding_box(
    cell: tuple[int, int], size: tuple[int, int], motion: AffineMatrix, shape: tuple[int, int]
) -> Box:
    """Bounding box of a warped cell, with one or two pixels around it, clipped to `shape`."""
    min_x = min_y = np.inf
    max_x = max_y = -np.inf
    for down in range(2):
        for across in range(2):
            x, y = (cell[1] + across) * size[1], (cell[0] + down) * size[0]
            mapped_x = motion[0, 0] * x + motion[0, 1] * y + motion[0, 2]
            mapped_y = motion[1, 0] * x + motion[1, 1] * y + motion[1, 2]
            min_x, max_x = min(min_x, mapped_x), max(max_x, mapped_x)
            min_y, max_y = min(min_y, mapped_y), max(max_y, mapped_y)
    left, top = max(int(np.floor(min_x)) - 1, 0), max(int(np.floor(min_y)) - 1, 0)
    right, bottom = int(np.ceil(max_x)) + 1, int(np.ceil(max_y)) + 1
    return left, top, min(right, shape[1]), min(bottom, shape[0])


@cached_njit
def _pixel_range(cell: int, cells: int, size: int, offset: float, length: int) -> tuple[int, int]:
    """First and last (exclusive) pixel, along one axis of `length` pixels, whose centre plus
    `offset` lies in the cell. At the picture's border, only pixels that are fully visible.
    """
    low = cell * size + (0.5 if cell == 0 else 0.0)
    high = (cell + 1) * size - (0.5 if cell == cells - 1 else 0.0)
    return max(int(np.ceil(low - offset - 0.5)), 0), min(int(np.ceil(high - offset - 0.5)), length)


@cached_njit
def _paste_translated(
    new: Planes,
    y_range: tuple[int, int],
    x_range: tuple[int, int],
    offset: tuple[float, float],
    image: Planes,
    visibility: Plane,
) -> None:
    """Fill a rectangle of `image` from `new`, whose points lie `offset` (y, x) from there. All
    pixels have the same interpolation weights.
    """
    top, left, one = int(np.floor(offset[0])), int(np.floor(offset[1])), np.float32(1)
    t, s = np.float32(offset[0] - top), np.float32(offset[1] - left)
    first, last = x_range
    if last <= first:
        return
    blended = np.empty(last - first + 3, np.float32)
    for y in range(y_range[0], y_range[1]):
        visibility[y, first:last] = one
        for n in range(new.shape[0]):
            bicubic_rows(new[n], y + top - 1, first + left - 1, t, blended)
            bicubic_columns(blended, s, image[n, y, first:last])


@cached_njit
def _paste_pixels(
    new: Planes,
    cell: tuple[int, int],
    size: tuple[int, int],
    inverse: AffineMatrix,
    box: Box,
    image: Planes,
    visibility: Plane,
) -> None:
    """Fill pixel by pixel what one cell of `new` covers within `box` of `image`.

    A pixel covered in part is written if at least half of it is covered, or more than before.
    """
    height, width = new.shape[1:]
    left, top, right, bottom = box
    for y in range(top, bottom):
        for x in range(left, right):
            new_x = inverse[0, 0] * (x + 0.5) + inverse[0, 1] * (y + 0.5) + inverse[0, 2]
            new_y = inverse[1, 0] * (x + 0.5) + inverse[1, 1] * (y + 0.5) + inverse[1, 2]
            row = min(max(int(new_y), 0), height - 1) // size[0]
            col = min(max(int(new_x), 0), width - 1) // size[1]
            covered = _coverage(new_x, width) * _coverage(new_y, height)
            in_cell = row == cell[0] and col == cell[1] and covered > 0
            if in_cell and (covered >= 0.5 or covered > visibility[y, x]):
                bicubic_at(new, new_x - 0.5, new_y - 0.5, image[:, y, x])
                visibility[y, x] = max(visibility[y, x], covered)


@cached_njit
def _coverage(centre: float, length: int) -> float:
    """Share of a pixel, given its centre, that lies within 0..length."""
    return max(min(centre + 0.5, length - centre + 0.5, 1.0), 0.0)


@cached_njit
def _warp(image: Planes, visibility: Plane, motion: AffineMatrix, out: Planes) -> Plane:
    """Any affine warp, row by row."""
    height, width = out.shape[1:]
    out_visibility = np.empty((height, width), np.float32)
    row_values = np.empty((out.shape[0], width), np.float32)
    for y in range(height):
        points = transform_row(motion, 0, y, width)
        visibility_row(visibility, points, out_visibility[y])
        bicubic_row(image, points, out_visibility[y], row_values)
        out[:, y] = row_values
    return out_visibility


@cached_njit
def _translate(
    image: Planes, visibility: Plane, x_offset: float, y_offset: float, out: Planes
) -> Plane:
    """A pure translation: each row is interpolated from four rows of `image` with the same weights,
    then each column likewise.
    """
    height, width = out.shape[1:]
    left, top = int(np.floor(x_offset)), int(np.floor(y_offset))
    s, t = np.float32(x_offset - left), np.float32(y_offset - top)
    out_visibility = _translate_visibility(visibility, left, top, s, t, height, width)
    blended = np.empty(width + 3, np.float32)
    for y in range(height):
        for n in range(out.shape[0]):
            bicubic_rows(image[n], y + top - 1, left - 1, t, blended)
            bicubic_columns(blended, s, out[n, y])
            clear_invisible(out[n, y], out_visibility[y])
    return out_visibility


@cached_njit
def _translate_visibility(
    visibility: Plane, left: int, top: int, s: np.float32, t: np.float32, height: int, width: int
) -> Plane:
    """Bilinear visibility [height, width] of a picture translated by (left + s, top + t)."""
    out, one = np.empty((height, width), np.float32), np.float32(1)
    first = min(max(-left, 0), width)
    last = max(min(visibility.shape[1] - 1 - left, width), first)
    for y in range(height):
        row = y + top
        inside = 0 <= row < visibility.shape[0] - 1
        if inside:
            span, next_span = (
                slice(first + left, last + left),
                slice(first + left + 1, last + left + 1),
            )
            a, b = visibility[row, span], visibility[row, next_span]
            c, d = visibility[row + 1, span], visibility[row + 1, next_span]
            values = out[y, first:last]
            for x in range(values.size):
                above, below = (one - s) * a[x] + s * b[x], (one - s) * c[x] + s * d[x]
                values[x] = (one - t) * above + t * below
        for x in range(first if inside else width):
            out[y, x] = visibility_at(visibility, x + left + float(s), row + float(t))
        for x in range(last if inside else width, width):
            out[y, x] = visibility_at(visibility, x + left + float(s), row + float(t))
    return out
