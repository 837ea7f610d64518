"""Statistics per cell of a plane: [h, w] pixels -> [rows, cols] cells."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.yuv_planes import (
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
