"""Pictures as what is compared: brightness, and two differences of colour from it."""

import numpy as np
from numpy.typing import NDArray

from codecsight.compiled import compiled

Picture = NDArray[np.uint8]
"""RGB, [h, w, 3]."""
Plane = NDArray[np.float32]
"""[h, w] in grey levels."""
Planes = NDArray[np.float32]
"""[3, h, w]: brightness (BT.601), and how far red and blue are above it; or [1, h, w], brightness
alone.
"""


def planes(picture: Picture) -> Planes:
    """The planes of a picture."""
    height, width = picture.shape[:2]
    split = np.empty((3, height, width), np.float32)
    _split(picture, split)
    return split


@compiled
def _split(picture: Picture, split: Planes) -> None:
    height, width = split.shape[1:]
    for y in range(height):
        for x in range(width):
            red = np.float32(picture[y, x, 0])
            green = np.float32(picture[y, x, 1])
            blue = np.float32(picture[y, x, 2])
            bright = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
            split[0, y, x] = bright
            split[1, y, x] = red - bright
            split[2, y, x] = blue - bright


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
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            across = plane[y, min(x + 1, width - 1)] - plane[y, max(x - 1, 0)]
            down = plane[below, x] - plane[above, x]
            steep[y, x] = (abs(across) + abs(down)) * np.float32(0.5)
    return steep


@compiled
def shares(levels: Planes, limits: NDArray[np.float32], rows: int, cols: int) -> Plane:
    """[rows, cols]: the share of each cell's pixels at which the level is above its plane's limit,
    in one of one or two planes.
    """
    high, wide = levels.shape[1] // rows, levels.shape[2] // cols
    first, last = levels[0], levels[-1]
    least, least_last = limits[0], limits[-1]
    found = np.zeros((rows, cols), np.float32)
    for y in range(rows * high):
        for col in range(cols):
            hits = 0
            for x in range(col * wide, (col + 1) * wide):
                hits += (first[y, x] > least) | (last[y, x] > least_last)
            found[y // high, col] += hits
    return found / np.float32(high * wide)


@compiled
def means(plane: Plane, rows: int, cols: int) -> Plane:
    """[rows, cols]: each cell's mean."""
    height, width = plane.shape
    high, wide = height // rows, width // cols
    total = np.zeros((rows, cols), np.float32)
    for y in range(rows * high):
        for x in range(cols * wide):
            total[y // high, x // wide] += plane[y, x]
    return total / np.float32(high * wide)
