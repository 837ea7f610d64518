"""Pictures as what is compared: brightness, and two differences of colour from it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from codecsight.jit import cached_njit

RgbImage = NDArray[np.uint8]
"""RGB, [h, w, 3]."""
Plane = NDArray[np.float32]
"""[h, w] in grey levels."""
Mask = NDArray[np.bool_]
"""[h, w], or a value for each cell: [rows, cols]."""
Planes = NDArray[np.float32]
"""[3, h, w]: brightness (BT.601), and how far red and blue are above it; or [1, h, w], brightness
alone.
"""


@dataclass(eq=False)
class Picture:
    """A picture that was sampled, and its planes for whoever can't do without: they take twelve
    times the memory, and memory is what finding change waits for.
    """

    picture: RgbImage

    @cached_property
    def planes(self) -> Planes:
        """Its planes."""
        return planes(self.picture)


def planes(picture: RgbImage) -> Planes:
    """The planes of a picture."""
    height, width = picture.shape[:2]
    split = np.empty((3, height, width), np.float32)
    _split(rows_of(picture), split)
    return split


def is_picture(shown: RgbImage | Planes) -> TypeGuard[RgbImage]:
    """Whether it is RGB, not planes."""
    return shown.dtype == np.uint8


def rows_of(picture: RgbImage) -> NDArray[np.uint8]:
    """A picture's rows, [h, 3 * w]."""
    return np.ascontiguousarray(picture).reshape(picture.shape[0], -1)


@cached_njit
def _split(picture: NDArray[np.uint8], split: Planes) -> None:
    for y in range(split.shape[1]):
        split_row(picture[y], split[0, y], split[1, y], split[2, y])


@cached_njit
def split_row(
    row: NDArray[np.uint8],
    brightness: NDArray[np.float32],
    reds: NDArray[np.float32],
    blues: NDArray[np.float32],
) -> None:
    """The planes [w] of one row [3 * w] of a picture."""
    for x in range(brightness.size):
        bright = _bright(row, x)
        brightness[x] = bright
        reds[x], blues[x] = np.float32(row[3 * x]) - bright, np.float32(row[3 * x + 2]) - bright


@cached_njit
def _bright(row: NDArray[np.uint8], x: int) -> np.float32:
    red, green, blue = row[3 * x], row[3 * x + 1], row[3 * x + 2]
    return (
        np.float32(0.299) * np.float32(red)
        + np.float32(0.587) * np.float32(green)
        + np.float32(0.114) * np.float32(blue)
    )


@cached_njit
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


@cached_njit
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


@cached_njit
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


@cached_njit
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


def bright_means(shown: RgbImage | Planes, rows: int, cols: int) -> Plane:
    """[rows, cols]: each cell's mean brightness."""
    if is_picture(shown):
        return _bright_means(rows_of(shown), rows, cols)
    return means(shown[0], rows, cols)


@cached_njit
def _bright_means(picture: NDArray[np.uint8], rows: int, cols: int) -> Plane:
    """The same of a picture's rows: a band as high as a cell is split at a time."""
    high = picture.shape[0] // rows
    band = np.empty((high, picture.shape[1] // 3), np.float32)
    found = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for y in range(high):
            line, into = picture[row * high + y], band[y]
            for x in range(into.size):
                into[x] = _bright(line, x)
        found[row] = means(band, 1, cols)[0]
    return found


@cached_njit
def medians(plane: Plane, rows: int, cols: int, thin: int) -> Plane:
    """[rows, cols]: the median of every `thin`-th row and column of each cell."""
    high, wide = plane.shape[0] // rows, plane.shape[1] // cols
    found = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            down = slice(row * high, (row + 1) * high, thin)
            found[row, col] = np.median(plane[down, col * wide : (col + 1) * wide : thin])
    return found
