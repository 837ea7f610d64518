"""How much two pictures differ, pixel by pixel. Each picture is walked over once, three rows at a
time, and split into planes on the way: memory is what a comparison waits for.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import BRIGHT, Exposure
from codecsight.change.measurement.yuv_planes import (
    Mask,
    Plane,
    Planes,
    RgbImage,
    is_picture,
    rows_of,
    split_row,
)
from codecsight.jit import cached_njit

THIN = 4  # every so many rows and columns are plenty for a median
_NINTH = np.float32(1 / 9)
_BLACK, _WHITE, _BURNT = np.float32(0), np.float32(255), np.float32(BRIGHT)
_NO_ROWS, _NO_PLANES = np.empty((0, 0), np.uint8), np.empty((0, 0, 0), np.float32)


def differences(
    new: RgbImage, old: RgbImage | Planes, tone: Exposure, colour: float
) -> tuple[Planes, float]:
    """[2, h, w]: by how much `new` is brighter than `old` would be under that `tone`, and `colour`
    times the larger difference of colour, as it is; both smoothed over 3x3 pixels, borders
    repeated. And the median of the latter.
    """
    levels = np.empty((2, *new.shape[:2]), np.float32)
    rows, whole = (rows_of(old), _NO_PLANES) if is_picture(old) else (_NO_ROWS, cast(Planes, old))
    gain, offset = np.float32(tone.gain), np.float32(tone.offset)
    under = gain, offset, tone.same, np.float32(colour)
    return levels, _differences(rows_of(new), rows, whole, *under, levels)


@cached_njit
def _differences(
    new: NDArray[np.uint8],
    old: NDArray[np.uint8],
    split: Planes,
    gain: np.float32,
    offset: np.float32,
    same: bool,
    colour: np.float32,
    levels: Planes,
) -> float:
    """From the rows of the `new` picture, and those of the `old` one or, where that is `split`
    already, its planes.
    """
    height, width = levels.shape[1:]
    points = np.empty(thinned(height, width), np.float32)
    rows = np.empty((3, 3, width), np.float32)  # the last three, in turn
    summed = np.empty((3, width + 2), np.float32)
    # Not one array unpacked: that would not vectorise.
    now, was = np.empty((3, width), np.float32), np.empty((3, width), np.float32)
    _load(new, old, split, 0, now, was)
    _row(now, was, gain, offset, same, rows[0])
    rows[2] = rows[0]
    for y in range(height):
        _load(new, old, split, min(y + 1, height - 1), now, was)
        _row(now, was, gain, offset, same, rows[(y + 1) % 3])
        for plane in range(3):
            _down(
                rows[(y + 2) % 3, plane],
                rows[y % 3, plane],
                rows[(y + 1) % 3, plane],
                summed[plane],
            )
        bright, apart = levels[0, y], levels[1, y]
        grey, red, blue = summed[0], summed[1], summed[2]
        for x in range(width):
            bright[x] = grey[x] + grey[x + 1] + grey[x + 2]
            reds, blues = red[x] + red[x + 1] + red[x + 2], blue[x] + blue[x + 1] + blue[x + 2]
            apart[x] = colour * max(abs(reds), abs(blues))
        if y % THIN == 0:
            points[y // THIN] = apart[::THIN]
    return float(np.median(points))


@cached_njit
def thinned(height: int, width: int) -> tuple[int, int]:
    """How many rows and columns are left of a plane of which one in THIN is taken."""
    return (height + THIN - 1) // THIN, (width + THIN - 1) // THIN


@cached_njit
def _load(
    new: NDArray[np.uint8],
    old: NDArray[np.uint8],
    split: Planes,
    y: int,
    now: NDArray[np.float32],
    was: NDArray[np.float32],
) -> None:
    """One row's planes, [3, w], as they are `now` and as they were."""
    split_row(new[y], now[0], now[1], now[2])
    if split.size:
        for plane in range(3):
            was[plane] = split[plane, y]
    else:
        split_row(old[y], was[0], was[1], was[2])


@cached_njit
def _row(
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    gain: np.float32,
    offset: np.float32,
    same: bool,
    differ: NDArray[np.float32],
) -> None:
    """One row's differences, [planes, w]."""
    now, was, into = new[0], old[0], differ[0]
    for x in range(now.size):
        into[x] = now[x] - (was[x] if same else under(was[x], now[x], gain, offset))
    factor = np.float32(1) if same else gain
    for plane in range(1, 3):
        now, was, into = new[plane], old[plane], differ[plane]
        for x in range(now.size):
            into[x] = now[x] - factor * was[x]


@cached_njit
def under(was: np.float32, now: np.float32, gain: np.float32, offset: np.float32) -> np.float32:
    """A brightness under another exposure, as far as it can be compared with what is there `now`:
    what was burnt out may have been brighter than white, perhaps as bright as that.
    """
    exposed = min(max(was * gain + offset, _BLACK), _WHITE)
    return max(exposed, now) if was >= _BURNT else exposed


@cached_njit
def _down(
    above: NDArray[np.float32],
    here: NDArray[np.float32],
    below: NDArray[np.float32],
    summed: NDArray[np.float32],
) -> None:
    """A ninth of the sum of three rows [w] into [w + 2], the ends repeated."""
    width = here.size
    for x in range(width):
        summed[x + 1] = (above[x] + here[x] + below[x]) * _NINTH
    summed[0], summed[width + 1] = summed[1], summed[width]


@cached_njit
def lit(levels: Plane, down: Plane, across: Plane) -> float:
    """Replace differences in brightness [h, w] by their distance from what light makes: `down`
    [h, rows] @ `across` [rows, w]. Returns the median of what is left.
    """
    points = np.empty(thinned(*levels.shape), np.float32)
    light = np.empty(levels.shape[1], np.float32)
    for y in range(levels.shape[0]):
        light[:] = 0
        for row in range(down.shape[1]):
            weight = down[y, row]
            if weight:
                for x in range(light.size):
                    light[x] += weight * across[row, x]
        here = levels[y]
        for x in range(light.size):
            here[x] = abs(here[x] - light[x])
        if y % THIN == 0:
            points[y // THIN] = here[::THIN]
    return float(np.median(points))


@cached_njit
def brighter(
    new: Plane, old: Plane, gain: np.float32, offset: np.float32, same: bool, whole: Mask
) -> Plane:
    """[h, w]: by how much `new` is brighter than `old` would be under that tone; 0 where it is not
    known as a `whole`.
    """
    found = np.empty(new.shape, np.float32)
    for y in range(new.shape[0]):
        now, was, known, into = new[y], old[y], whole[y], found[y]
        for x in range(now.size):
            apart = now[x] - (was[x] if same else under(was[x], now[x], gain, offset))
            into[x] = apart if known[x] else _BLACK
    return found


@cached_njit
def less(levels: Plane, slack: Plane, share: np.float32, whole: Mask) -> None:
    """Take a `share` of the `slack` off levels [h, w]; 0 where not the `whole` is known."""
    for y in range(levels.shape[0]):
        here, much, known = levels[y], slack[y], whole[y]
        for x in range(here.size):
            here[x] = here[x] - share * much[x] if known[x] else _BLACK
