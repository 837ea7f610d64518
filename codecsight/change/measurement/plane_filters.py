"""Filters over one plane: box filter, local gradient and dilation."""

import numpy as np

from codecsight.change.measurement.yuv_planes import Mask, Plane
from codecsight.jit import cached_njit


@cached_njit
def box_filter(plane: Plane) -> Plane:
    """Mean of each pixel's 3x3 neighbourhood, with replicated borders: [h, w]."""
    height, width = plane.shape
    mean = np.empty((height, width), np.float32)
    row = np.empty(width, np.float32)
    ninth = np.float32(1 / 9)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            row[x] = (plane[above, x] + plane[y, x] + plane[below, x]) * ninth
        for x in range(1, width - 1):
            mean[y, x] = row[x - 1] + row[x] + row[x + 1]
        mean[y, 0] = row[0] + row[0] + row[1]
        mean[y, width - 1] = row[width - 2] + row[width - 1] + row[width - 1]
    return mean


@cached_njit
def local_gradient(plane: Plane) -> Plane:
    """L1 norm of the gradient by central differences, with replicated borders: [h, w].

    It bounds how many grey levels a pixel may change when the picture shifts by one pixel.
    """
    height, width = plane.shape
    gradient = np.empty((height, width), np.float32)
    half, last = np.float32(0.5), width - 1
    for y in range(height):
        row, out = plane[y], gradient[y]
        above, below = plane[max(y - 1, 0)], plane[min(y + 1, height - 1)]
        for x in range(width):
            out[x] = abs(below[x] - above[x])
        left, right, inner = row[: max(last - 1, 0)], row[2:], out[1:]
        for x in range(left.size):
            inner[x] = (abs(right[x] - left[x]) + inner[x]) * half
        out[0] = (abs(row[min(1, last)] - row[0]) + out[0]) * half
        if last > 0:
            out[last] = (abs(row[last] - row[last - 1]) + out[last]) * half
    return gradient


@cached_njit
def dilate(mask: Mask) -> Mask:
    """Morphological dilation by one in all eight directions: [h, w]."""
    high, wide = mask.shape
    dilated = np.zeros((high, wide), np.bool_)
    for row in range(high):
        for col in range(wide):
            if mask[row, col]:
                dilated[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = True
    return dilated
