"""Statistics per cell of a plane: [h, w] pixels -> [rows, cols] cells."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.plane_filters import dilate
from codecsight.change.measurement.yuv_planes import (
    Mask,
    Plane,
    Planes,
    RgbImage,
    as_rows,
    is_rgb,
    pixel_luma,
)
from codecsight.jit import cached_njit


@cached_njit
def fraction_above(differences: Planes, limits: NDArray[np.float32], rows: int, cols: int) -> Plane:
    """[rows, cols]: share of each cell's pixels whose value exceeds the limit of its plane in at
    least one of the one or two planes.
    """
    cell_height, cell_width = differences.shape[1] // rows, differences.shape[2] // cols
    # With a single plane, first and last are the same plane.
    first_limit, last_limit = limits[0], limits[-1]
    fractions = np.zeros((rows, cols), np.float32)
    for y in range(rows * cell_height):
        for col in range(cols):
            span = slice(col * cell_width, (col + 1) * cell_width)
            first, last = differences[0, y, span], differences[-1, y, span]
            hits = np.int32(0)
            for x in range(cell_width):
                hits += np.int32((first[x] > first_limit) | (last[x] > last_limit))
            fractions[y // cell_height, col] += hits
    return fractions / np.float32(cell_height * cell_width)


@cached_njit
def fraction_connected(
    differences: Planes,
    limits: NDArray[np.float32],
    weak_limits: NDArray[np.float32],
    seeds: Mask,
) -> Plane:
    """[rows, cols]: share of each cell's pixels that exceed a weak limit and are connected, through
    such pixels, to one in a cell of `seeds` [rows, cols] that exceeds the full limit of its plane.
    Only cells of `seeds` and their neighbours are searched (hysteresis thresholding, as in Canny
    1986).
    """
    rows, cols = seeds.shape
    size = differences.shape[1] // rows, differences.shape[2] // cols
    near = dilate(seeds)
    fractions = np.zeros((rows, cols), np.float32)
    weak = np.zeros((rows * size[0], cols * size[1]), np.bool_)  # not reached yet
    reached = [(0, 0) for _ in range(0)]  # an empty list whose type numba can infer
    for y in range(weak.shape[0]):
        for col in range(cols):
            if not near[y // size[0], col]:
                continue
            for x in range(col * size[1], (col + 1) * size[1]):
                first, last = differences[0, y, x], differences[-1, y, x]
                weak[y, x] = (first > weak_limits[0]) | (last > weak_limits[-1])
                if seeds[y // size[0], col] and ((first > limits[0]) | (last > limits[-1])):
                    reached.append((y, x))
                    weak[y, x] = False
    while len(reached):
        y, x = reached.pop()
        fractions[y // size[0], x // size[1]] += 1
        for row in range(max(y - 1, 0), min(y + 2, weak.shape[0])):
            for col in range(max(x - 1, 0), min(x + 2, weak.shape[1])):
                if weak[row, col]:
                    weak[row, col] = False
                    reached.append((row, col))
    return fractions / np.float32(size[0] * size[1])


@cached_njit
def cell_means(plane: Plane, rows: int, cols: int) -> Plane:
    """[rows, cols]: mean of each cell."""
    cell_height, cell_width = plane.shape[0] // rows, plane.shape[1] // cols
    means = np.empty((rows, cols), np.float32)
    column_sums = np.empty(cols * cell_width, np.float32)
    for row in range(rows):
        column_sums[:] = 0
        for y in range(row * cell_height, (row + 1) * cell_height):
            line = plane[y]
            for x in range(column_sums.size):
                column_sums[x] += line[x]
        for col in range(cols):
            means[row, col] = column_sums[col * cell_width : (col + 1) * cell_width].sum()
    return means / np.float32(cell_height * cell_width)


def luma_means(image: RgbImage | Planes, rows: int, cols: int) -> Plane:
    """[rows, cols]: mean luma of each cell, from RGB or from planes."""
    if is_rgb(image):
        return _rgb_luma_means(as_rows(image), rows, cols)
    return cell_means(image[0], rows, cols)


@cached_njit
def _rgb_luma_means(image_rows: NDArray[np.uint8], rows: int, cols: int) -> Plane:
    """Mean luma of each cell from interleaved RGB rows. Converts one band of a cell's height at a
    time, so that the working set stays in cache.
    """
    cell_height = image_rows.shape[0] // rows
    band = np.empty((cell_height, image_rows.shape[1] // 3), np.float32)
    means = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for y in range(cell_height):
            line, luma = image_rows[row * cell_height + y], band[y]
            for x in range(luma.size):
                luma[x] = pixel_luma(line, x)
        means[row] = cell_means(band, 1, cols)[0]
    return means


@cached_njit
def cell_medians(plane: Plane, rows: int, cols: int, stride: int) -> Plane:
    """[rows, cols]: median of every `stride`-th row and column of each cell."""
    cell_height, cell_width = plane.shape[0] // rows, plane.shape[1] // cols
    medians = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            down = slice(row * cell_height, (row + 1) * cell_height, stride)
            medians[row, col] = np.median(
                plane[down, col * cell_width : (col + 1) * cell_width : stride]
            )
    return medians
