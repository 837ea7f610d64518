"""Pixel-wise differences of two pictures.

`difference_planes` reads each picture once: it holds three rows at a time, converts them to
planes, and box-filters the differences on the way. The comparison is bound by memory bandwidth, so
no full-size intermediate planes are written.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import SATURATED, Exposure
from codecsight.change.measurement.yuv_planes import (
    Mask,
    Plane,
    Planes,
    RgbImage,
    as_rows,
    is_rgb,
    rgb_row_to_yuv,
)
from codecsight.jit import cached_njit

SUBSAMPLE = 4  # medians are taken over every fourth row and column
_NINTH = np.float32(1 / 9)
_BLACK, _WHITE, _SATURATED = np.float32(0), np.float32(255), np.float32(SATURATED)
_NO_ROWS, _NO_PLANES = np.empty((0, 0), np.uint8), np.empty((0, 0, 0), np.float32)


def difference_planes(
    new: RgbImage, old: RgbImage | Planes, exposure: Exposure, chroma_weight: float
) -> tuple[Planes, float]:
    """Differences between `new` and `old`, with `old` brought to the exposure of `new`.

    Returns [2, h, w] in grey levels, box-filtered over 3x3 pixels with replicated borders: the
    signed luma difference, and `chroma_weight` times the larger absolute difference of the two
    chroma planes; and the median of the latter.
    """
    differences = np.empty((2, *new.shape[:2]), np.float32)
    rows, planes = (as_rows(old), _NO_PLANES) if is_rgb(old) else (_NO_ROWS, cast(Planes, old))
    gain, offset = np.float32(exposure.gain), np.float32(exposure.offset)
    settings = gain, offset, exposure.negligible, np.float32(chroma_weight)
    return differences, _difference_planes(as_rows(new), rows, planes, *settings, differences)


@cached_njit
def _difference_planes(
    new_rows: NDArray[np.uint8],
    old_rows: NDArray[np.uint8],
    old_planes: Planes,
    gain: np.float32,
    offset: np.float32,
    same_exposure: bool,
    chroma_weight: np.float32,
    differences: Planes,
) -> float:
    """Fill `differences` [2, h, w]. The old picture is given as RGB rows, or, where `old_planes`
    isn't empty, as planes. Returns the median of the chroma differences.
    """
    height, width = differences.shape[1:]
    samples = np.empty(subsampled_shape(height, width), np.float32)
    rows = np.empty((3, 3, width), np.float32)  # ring buffer of three rows: [row, plane, x]
    column_means = np.empty((3, width + 2), np.float32)
    # Two arrays, not one array of [2, 3, w] unpacked: numba would not vectorise that.
    new, old = np.empty((3, width), np.float32), np.empty((3, width), np.float32)
    _load_row(new_rows, old_rows, old_planes, 0, new, old)
    _row_difference(new, old, gain, offset, same_exposure, rows[0])
    rows[2] = rows[0]  # the row above the first one: a replicated border
    for y in range(height):
        _load_row(new_rows, old_rows, old_planes, min(y + 1, height - 1), new, old)
        _row_difference(new, old, gain, offset, same_exposure, rows[(y + 1) % 3])
        for plane in range(3):
            _box_filter_columns(
                rows[(y + 2) % 3, plane],
                rows[y % 3, plane],
                rows[(y + 1) % 3, plane],
                column_means[plane],
            )
        luma, chroma = differences[0, y], differences[1, y]
        y_sums, red_sums, blue_sums = column_means[0], column_means[1], column_means[2]
        for x in range(width):
            luma[x] = y_sums[x] + y_sums[x + 1] + y_sums[x + 2]
            red, blue = (
                red_sums[x] + red_sums[x + 1] + red_sums[x + 2],
                blue_sums[x] + blue_sums[x + 1] + blue_sums[x + 2],
            )
            chroma[x] = chroma_weight * max(abs(red), abs(blue))
        if y % SUBSAMPLE == 0:
            samples[y // SUBSAMPLE] = chroma[::SUBSAMPLE]
    return float(np.median(samples))


@cached_njit
def subsampled_shape(height: int, width: int) -> tuple[int, int]:
    """Shape of a plane [h, w] of which every SUBSAMPLE-th row and column is taken."""
    return (height + SUBSAMPLE - 1) // SUBSAMPLE, (width + SUBSAMPLE - 1) // SUBSAMPLE


@cached_njit
def _load_row(
    new_rows: NDArray[np.uint8],
    old_rows: NDArray[np.uint8],
    old_planes: Planes,
    y: int,
    new: NDArray[np.float32],
    old: NDArray[np.float32],
) -> None:
    """Write the planes of row `y` of both pictures into `new` and `old`, both [3, w]."""
    rgb_row_to_yuv(new_rows[y], new[0], new[1], new[2])
    if old_planes.size:
        for plane in range(3):
            old[plane] = old_planes[plane, y]
    else:
        rgb_row_to_yuv(old_rows[y], old[0], old[1], old[2])


@cached_njit
def _row_difference(
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    gain: np.float32,
    offset: np.float32,
    same_exposure: bool,
    difference: NDArray[np.float32],
) -> None:
    """Write `new` minus exposed `old` of one row, all [3, w], into `difference`."""
    new_values, old_values, out = new[0], old[0], difference[0]
    for x in range(new_values.size):
        out[x] = new_values[x] - (
            old_values[x]
            if same_exposure
            else exposed_luma(old_values[x], new_values[x], gain, offset)
        )
    factor = np.float32(1) if same_exposure else gain
    for plane in range(1, 3):
        new_values, old_values, out = new[plane], old[plane], difference[plane]
        for x in range(new_values.size):
            out[x] = new_values[x] - factor * old_values[x]


@cached_njit
def exposed_luma(
    old: np.float32, new: np.float32, gain: np.float32, offset: np.float32
) -> np.float32:
    """An old luma under the new exposure, for comparison with `new` at the same pixel.

    A saturated old value is a lower bound only: the scene may have been as bright as `new`.
    """
    exposed = min(max(old * gain + offset, _BLACK), _WHITE)
    return max(exposed, new) if old >= _SATURATED else exposed


@cached_njit
def _box_filter_columns(
    above: NDArray[np.float32],
    row: NDArray[np.float32],
    below: NDArray[np.float32],
    column_means: NDArray[np.float32],
) -> None:
    """Vertical part of the 3x3 box filter: a ninth of the sum of three rows [w], written to
    [w + 2] with replicated ends, so that the horizontal part needs no border case.
    """
    width = row.size
    for x in range(width):
        column_means[x + 1] = (above[x] + row[x] + below[x]) * _NINTH
    column_means[0], column_means[width + 1] = column_means[1], column_means[width]


@cached_njit
def subtract_illumination(difference: Plane, row_weights: Plane, cell_rows: Plane) -> float:
    """Replace a signed luma difference [h, w] by its absolute distance from the smooth difference
    that illumination causes, `row_weights` [h, rows] @ `cell_rows` [rows, w], in place. Returns the
    median of the result.
    """
    samples = np.empty(subsampled_shape(*difference.shape), np.float32)
    illumination = np.empty(difference.shape[1], np.float32)
    for y in range(difference.shape[0]):
        illumination[:] = 0
        for row in range(row_weights.shape[1]):
            weight = row_weights[y, row]
            if weight:  # linear interpolation: at most two rows of cells contribute
                for x in range(illumination.size):
                    illumination[x] += weight * cell_rows[row, x]
        values = difference[y]
        for x in range(illumination.size):
            values[x] = abs(values[x] - illumination[x])
        if y % SUBSAMPLE == 0:
            samples[y // SUBSAMPLE] = values[::SUBSAMPLE]
    return float(np.median(samples))


@cached_njit
def luma_difference(
    new: Plane,
    old: Plane,
    gain: np.float32,
    offset: np.float32,
    same_exposure: bool,
    visible: Mask,
) -> Plane:
    """`new` minus exposed `old`, [h, w]; 0 where `old` is not `visible`."""
    difference = np.empty(new.shape, np.float32)
    for y in range(new.shape[0]):
        new_row, old_row, mask, out = new[y], old[y], visible[y], difference[y]
        for x in range(new_row.size):
            value = new_row[x] - (
                old_row[x] if same_exposure else exposed_luma(old_row[x], new_row[x], gain, offset)
            )
            out[x] = value if mask[x] else _BLACK
    return difference


@cached_njit
def subtract_tolerance(
    difference: Plane, gradient: Plane, shift: np.float32, visible: Mask
) -> None:
    """Subtract from an absolute difference [h, w] what a misalignment of `shift` pixels can cause
    (`shift` times the local gradient), in place; 0 where not `visible`.
    """
    for y in range(difference.shape[0]):
        values, steepness, mask = difference[y], gradient[y], visible[y]
        for x in range(values.size):
            values[x] = values[x] - shift * steepness[x] if mask[x] else _BLACK
