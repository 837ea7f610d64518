"""What came and went between two samples.

A sample every half second sees nothing of a visitor who stays for less. So the frames between are
looked at through a sparse raster of points, which costs next to nothing, and the one that differs
most from the last sample is held on to. If the next sample shows that it is all over, and nothing
near it changed, then that frame is sampled instead, and every cell that the visitor touched is
kept.
"""

from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from codecsight.change.measurement.cell_difference import Sensitivity, compare
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.core.frame import Frame
from codecsight.core.grid import PatchGrid
from codecsight.jit import cached_njit

_OFTEN = 0.035  # seconds to the next look: of 30 frames per second every other is seen, of 25 all
_POINTS = 80  # columns of the raster
_LEVELS = 20  # grey levels by which a point must differ, or
_NOISE = 6.0  # so many times the median difference
_FEWEST = 3  # points that must differ
_MOST = 0.3  # share of points above which it's the light or the camera
_SURE = Sensitivity(floor=8.0, noise=6.0, share=0.03)

Points = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Transient:
    """What is over: a frame that shows it, and all the cells [rows, cols] that it touched."""

    frame: Frame
    cells: NDArray[np.bool_]


class TransientDetector:
    """Watches what happens from one sample to the next."""

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._limit = float(_LEVELS)
        self._frame: Frame | None = None
        self._most, self._looked = 0, 0.0
        self._before: Points | None = None
        self._ever: NDArray[np.bool_]
        self._best: NDArray[np.bool_]
        self._differ: NDArray[np.bool_]

    def look(self, frame: Frame) -> None:
        """Take note of a frame that is not sampled."""
        if 0 <= frame.time - self._looked < _OFTEN or self._before is None:
            return
        self._looked = frame.time
        points = _points(frame)
        if points is None or points.shape != self._before.shape:
            return
        count = _note(points, self._before, self._limit, self._differ, self._ever)
        if self._most < count <= _MOST * self._before.size:
            self._most, self._frame = count, frame
            self._best, self._differ = self._differ, self._best

    def on_sample(self, frame: Frame) -> Transient | None:
        """Begin anew from a sampled frame; tells what came since the last one and is over now, if
        there seems to be anything.
        """
        now, before = _points(frame), self._before
        passing = None
        if now is not None and before is not None and now.shape == before.shape:
            apart = np.empty(now.shape, np.uint8)
            noise = _apart(now, before, apart)
            if self._frame is not None:
                passing = self._over(self._frame, apart)
            self._limit = max(_LEVELS, _NOISE * noise)
        self._begin(now)
        self._looked = frame.time
        return passing

    def _begin(self, points: Points | None) -> None:
        self._most, self._frame = 0, None
        if points is None:
            self._before = None
            return
        if self._before is None or self._before.shape != points.shape:
            self._before = np.empty(points.shape, np.uint8)
            self._ever, self._best, self._differ = np.empty((3, *points.shape), np.bool_)
        self._before[:] = points
        self._ever[:] = False

    def _over(self, frame: Frame, apart: Points) -> Transient | None:
        """What is over, away from all that differs between the two samples: `apart` of them."""
        cells = self._grid.rows, self._grid.cols
        other = _grown(_hits(apart > self._limit, *cells) >= _FEWEST)
        quiet = apart < self._limit / 2
        if _hits(self._best & quiet, *cells)[~other].sum() < _FEWEST:
            return None
        return Transient(frame, _hits(_grown(self._ever & quiet), *cells) > 0)

    def confirms(
        self, held: NDArray[np.uint8], before: NDArray[np.uint8], now: NDArray[np.uint8]
    ) -> bool:
        """Whether `held` shows something that is neither in the sample before nor in the one at
        hand, away from all that changed between those; all [h, w, 3] at model input size.
        """
        pairs = ((held, before), (held, now), (now, before))
        came, went, other = (
            compare(Picture(new), old, self._grid).changed(_SURE) for new, old in pairs
        )
        return bool((came & went & ~_grown(other)).any())


@cached_njit
def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and all neighbours of it."""
    high, wide = mask.shape
    grown = np.zeros((high, wide), np.bool_)
    for row in range(high):
        for col in range(wide):
            if mask[row, col]:
                grown[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = True
    return grown


@cached_njit
def _hits(points: NDArray[np.bool_], rows: int, cols: int) -> NDArray[np.int32]:
    """How many of the points are set in each cell: [rows, cols]."""
    high, wide = points.shape
    hits = np.zeros((rows, cols), np.int32)
    for row in range(high):
        for col in range(wide):
            if points[row, col]:
                hits[row * rows // high, col * cols // wide] += 1
    return hits


@cached_njit
def _apart(now: Points, before: Points, apart: Points) -> float:
    """How far `apart` two rasters are, point by point; returns the median of every fourth."""
    counts = np.zeros(256, np.int32)
    for row in range(now.shape[0]):
        for col in range(now.shape[1]):
            high, low = max(now[row, col], before[row, col]), min(now[row, col], before[row, col])
            apart[row, col] = high - low
            if row % 2 == 0 and col % 2 == 0:
                counts[apart[row, col]] += 1
    below, total = 0, counts.sum()
    for level in range(256):
        below += counts[level]
        if 2 * below >= total:
            return float(level)
    return 0.0


@cached_njit
def _note(
    points: Points,
    before: Points,
    limit: float,
    differ: NDArray[np.bool_],
    ever: NDArray[np.bool_],
) -> int:
    """Note which points `differ` by more than the limit and which `ever` did; returns how many."""
    count = 0
    for row in range(before.shape[0]):
        for col in range(before.shape[1]):
            here = bool(abs(np.float32(points[row, col]) - np.float32(before[row, col])) > limit)
            differ[row, col] = here
            ever[row, col] |= here
            count += here
    return count


def _points(frame: Frame) -> Points | None:
    """A raster of the picture's brightness, a view of its own bytes; None where its samples aren't
    bytes.
    """
    picture = frame.picture
    if not _in_bytes(picture.format.name):
        return None
    # Not `picture.planes`, which makes all of them.
    plane, step = VideoPlane(picture, 0), max(1, picture.width // _POINTS)
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return luma[step // 2 : picture.height : step, step // 2 : picture.width : step]


@lru_cache(maxsize=64)
def _in_bytes(name: str) -> bool:
    """Whether pictures of that format begin with a plane of bytes: brightness."""
    layout = av.VideoFormat(name)
    return layout.is_planar and layout.components[0].bits == 8
