"""Pictures as what is compared: brightness, and two differences of colour from it."""

import numpy as np
from numpy.typing import NDArray

from codecsight.compiled import compiled

Picture = NDArray[np.uint8]
"""RGB, [h, w, 3]."""
Plane = NDArray[np.float32]
"""[h, w] in grey levels."""
Mask = NDArray[np.bool_]
"""[h, w], or a value for each cell: [rows, cols]."""
Planes = NDArray[np.float32]
"""[3, h, w]: brightness (BT.601), and how far red and blue are above it; or [1, h, w], brightness
alone.
"""


def planes(picture: Picture) -> Planes:
    """The planes of a picture."""
    height, width = picture.shape[:2]
    split = np.empty((3, height, width), np.float32)
    _split(np.ascontiguousarray(picture), split)
    return split


@compiled
def _split(picture: Picture, split: Planes) -> None:
    height, width = split.shape[1:]
    flat = picture.reshape(height, 3 * width)
    for y in range(height):
        row, brightness, reds, blues = flat[y], split[0, y], split[1, y], split[2, y]
        for x in range(width):
            red, green = np.float32(row[3 * x]), np.float32(row[3 * x + 1])
            blue = np.float32(row[3 * x + 2])
            bright = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
            brightness[x], reds[x], blues[x] = bright, red - bright, blue - bright


@compiled
def smoothed(plane: Plane) -> Plane:
    """The mean of each pixel's 3x3 neighbourhood, borders repeated."""
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


@compiled
def slope(plane: Plane) -> Plane:
    """How much each pixel may change when the picture moves by one."""
    height, width = plane.shape
    steep = np.empty((height, width), np.float32)
    half, last = np.float32(0.5), width - 1
    for y in range(height):
        here, into = plane[y], steep[y]
        above, below = plane[max(y - 1, 0)], plane[min(y + 1, height - 1)]
        for x in range(width):
            into[x] = abs(below[x] - above[x])
        before, after, inner = here[: max(last - 1, 0)], here[2:], into[1:]
        for x in range(before.size):
            inner[x] = (abs(after[x] - before[x]) + inner[x]) * half
        into[0] = (abs(here[min(1, last)] - here[0]) + into[0]) * half
        if last > 0:
            into[last] = (abs(here[last] - here[last - 1]) + into[last]) * half
    return steep


@compiled
def shares(levels: Planes, limits: NDArray[np.float32], rows: int, cols: int) -> Plane:
    """[rows, cols]: the share of each cell's pixels at which the level is above its plane's limit,
    in one of one or two planes.
    """
    high, wide = levels.shape[1] // rows, levels.shape[2] // cols
    least, least_last = limits[0], limits[-1]
    found = np.zeros((rows, cols), np.float32)
    for y in range(rows * high):
        for col in range(cols):
            here = slice(col * wide, (col + 1) * wide)
            first, last = levels[0, y, here], levels[-1, y, here]
            hits = np.int32(0)
            for x in range(wide):
                hits += np.int32((first[x] > least) | (last[x] > least_last))
            found[y // high, col] += hits
    return found / np.float32(high * wide)


@compiled
def means(plane: Plane, rows: int, cols: int) -> Plane:
    """[rows, cols]: each cell's mean."""
    high, wide = plane.shape[0] // rows, plane.shape[1] // cols
    found = np.empty((rows, cols), np.float32)
    summed = np.empty(cols * wide, np.float32)
    for row in range(rows):
        summed[:] = 0
        for y in range(row * high, (row + 1) * high):
            line = plane[y]
            for x in range(summed.size):
                summed[x] += line[x]
        for col in range(cols):
            found[row, col] = summed[col * wide : (col + 1) * wide].sum()
    return found / np.float32(high * wide)


@compiled
def medians(plane: Plane, rows: int, cols: int, thin: int) -> Plane:
    """[rows, cols]: the median of every `thin`-th row and column of each cell."""
    high, wide = plane.shape[0] // rows, plane.shape[1] // cols
    found = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            down = slice(row * high, (row + 1) * high, thin)
            found[row, col] = np.median(plane[down, col * wide : (col + 1) * wide : thin])
    return found
