"""Detection of transients: objects that appear and disappear between two samples.

With a sample every half second, someone who stays for less is in no sample. So the frames between
samples are compared on a sparse raster of points, which costs almost nothing, and the frame that
differs most from the last sample is held. If the next sample shows that the object is gone, and
nothing near it changed, the held frame is sampled instead, and the cells that the object touched
are kept.

An insect before an infrared lamp appears and disappears too, many times a minute. So an object
must last: in two compared frames in a row it must be at nearly the same place, as a person is and
the streak of an insect is not. Or it must be large; but where short sightings are frequent, size
is no evidence either.
"""

from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from codecsight.change.measurement.cell_difference import Sensitivity, compare
from codecsight.change.measurement.plane_filters import dilate
from codecsight.change.measurement.yuv_planes import Mask, Picture
from codecsight.core.frame import Frame
from codecsight.core.grid import PatchGrid
from codecsight.jit import cached_njit

_MIN_INTERVAL_S = 0.035  # between compared frames: every other frame of 30 per second, all of 25
_RASTER_COLUMNS = 80
_MIN_LEVELS = 20  # grey levels by which a point must differ,
_NOISE_FACTOR = 6.0  # and times the median difference
_MIN_POINTS = 3  # points that must differ
_MAX_SHARE = 0.3  # of points: more is a change of light or a camera motion
_MIN_LASTING_POINTS = 6  # points of an object that lasts,
_MIN_LASTING_SHARE = 0.5  # and their share of all that differ where it is
_MAX_SPEED = 0.25  # picture widths per second between two frames that show an object that lasts
_REST = 3  # points around those that last within which all others belong to the object
_LARGE = 0.01  # share of points from which on an object need not last
_MAX_CLUTTER = 0.3  # share of sampling intervals with short sightings: above, large ones must last
_CLUTTER_SMOOTHING = 0.9  # of the moving average of that share, per sample
_MAX_SPREAD = 3.0  # cells that an object touches, times those it covers in the held frame
_CONFIRMED = Sensitivity(min_difference=8.0, noise_factor=6.0, min_share=0.03)

Raster = NDArray[np.uint8]
"""Luma of a sparse raster of points of a picture, [rows, about _RASTER_COLUMNS]."""


@dataclass(frozen=True, slots=True)
class Transient:
    """A transient that is over: a frame that shows it, and the cells [rows, cols] it touched."""

    frame: Frame
    cells: Mask


class TransientDetector:
    """Compares the frames between two samples with the earlier one.

    Masks over the raster, since the last sample: `_current` for the last frame compared, of which
    `_lasting` are near points that differed in the frame before (`_before`); `_peak` and
    `_peak_lasting` are those of the held frame; `_seen` and `_touched` are the points and the
    lasting points of all frames.
    """

    def __init__(self, grid: PatchGrid) -> None:
        self._grid = grid
        self._limit = float(_MIN_LEVELS)
        self._held: Frame | None = None
        self._peak_score, self._compared_at = 0, 0.0
        self._clutter = 0.0  # share of recent sampling intervals with short sightings
        self._sample: Raster | None = None
        self._ignored: Mask | None = None  # pixels of the model's input
        self._ignored_points: Mask
        self._seen: Mask
        self._touched: Mask
        self._peak: Mask
        self._peak_lasting: Mask
        self._current: Mask
        self._before: Mask
        self._lasting: Mask

    def ignore(self, mask: Mask) -> None:
        """Disregard changes of these pixels, [h, w] of the model's input, from now on."""
        self._ignored, self._sample = mask, None

    def observe(self, frame: Frame) -> None:
        """Compare a frame that is not sampled, and hold it if it differs most so far."""
        elapsed = frame.time - self._compared_at
        if 0 <= elapsed < _MIN_INTERVAL_S or self._sample is None:
            return
        self._compared_at = frame.time
        raster = _luma_raster(frame)
        if raster is None or raster.shape != self._sample.shape:
            return
        reach = max(1, round(_MAX_SPEED * elapsed * _RASTER_COLUMNS))
        self._before, self._current = self._current, self._before
        count = _mark_changed(
            raster, self._sample, self._limit, self._ignored_points, self._current, self._seen
        )
        lasting = _mark_lasting(self._current, self._before, reach, self._lasting, self._touched)
        if count > _MAX_SHARE * self._sample.size:
            return
        score = count + 2 * lasting
        if score > self._peak_score:
            self._peak_score, self._held = score, frame
            self._peak[:], self._peak_lasting[:] = self._current, self._lasting

    def on_sample(self, frame: Frame) -> Transient | None:
        """Restart from a sampled frame. Returns the transient since the last sample, if the
        raster shows one; `confirms` then checks it on pixels.
        """
        new, old = _luma_raster(frame), self._sample
        transient = None
        if new is not None and old is not None and new.shape == old.shape:
            difference = np.empty(new.shape, np.uint8)
            noise = _absolute_difference(new, old, difference)
            if self._held is not None:
                transient = self._find(self._held, difference)
            self._limit = max(_MIN_LEVELS, _NOISE_FACTOR * noise)
        self._start(new)
        self._compared_at = frame.time
        return transient

    def _start(self, raster: Raster | None) -> None:
        self._peak_score, self._held = 0, None
        if raster is None:
            self._sample = None
            return
        if self._sample is None or self._sample.shape != raster.shape:
            self._sample = np.empty(raster.shape, np.uint8)
            self._ignored_points = (
                np.zeros(raster.shape, np.bool_)
                if self._ignored is None
                else _at_points(self._ignored, *raster.shape)
            )
            masks = np.empty((7, *raster.shape), np.bool_)
            self._seen, self._touched, self._peak, self._peak_lasting = masks[:4]
            self._current, self._before, self._lasting = masks[4:]
        self._sample[:] = raster
        self._seen[:] = self._touched[:] = self._current[:] = False

    def _find(self, frame: Frame, difference: Raster) -> Transient | None:
        """The transient that `frame` shows, away from cells where the two samples differ by
        `difference`; None if it is neither large nor lasts.
        """
        cells = self._grid.rows, self._grid.cols
        changed_cells = dilate(_points_per_cell(difference > self._limit, *cells) >= _MIN_POINTS)
        unchanged = difference < self._limit / 2
        points, lasting = (
            int(_points_per_cell(mask & unchanged, *cells)[~changed_cells].sum())
            for mask in (self._peak, self._peak_lasting)
        )
        lasts = lasting >= max(_MIN_LASTING_POINTS, _MIN_LASTING_SHARE * points)
        large = points >= _LARGE * difference.size and self._clutter <= _MAX_CLUTTER
        short = points >= _MIN_POINTS and not lasts
        self._clutter = _CLUTTER_SMOOTHING * self._clutter + (1 - _CLUTTER_SMOOTHING) * short
        if not (lasts or large):
            return None
        shown, touched = (
            _points_per_cell(dilate(mask & unchanged), *cells) > 0
            for mask in (self._peak, self._peak | (self._seen & _grown(self._touched, _REST)))
        )
        spread = touched.sum() > _MAX_SPREAD * shown.sum()
        return Transient(frame, shown if spread else touched)

    def confirms(
        self, held: NDArray[np.uint8], previous: NDArray[np.uint8], current: NDArray[np.uint8]
    ) -> bool:
        """Whether `held` differs from both the previous and the current sample in some cell away
        from all cells that differ between the two; all [h, w, 3] at model input size.
        """
        pairs = ((held, previous), (held, current), (current, previous))
        appeared, disappeared, changed = (
            compare(Picture(new), old, self._grid, ignored=self._ignored).changed_cells(_CONFIRMED)
            for new, old in pairs
        )
        return bool((appeared & disappeared & ~dilate(changed)).any())


@cached_njit
def _points_per_cell(points: Mask, rows: int, cols: int) -> NDArray[np.int32]:
    """Number of set points in each cell: [rows, cols]."""
    high, wide = points.shape
    counts = np.zeros((rows, cols), np.int32)
    for row in range(high):
        for col in range(wide):
            if points[row, col]:
                counts[row * rows // high, col * cols // wide] += 1
    return counts


@cached_njit
def _absolute_difference(new: Raster, old: Raster, difference: Raster) -> float:
    """Write the absolute `difference` of two rasters; returns its median over every other row and
    column, from a histogram.
    """
    counts = np.zeros(256, np.int32)
    for row in range(new.shape[0]):
        for col in range(new.shape[1]):
            high, low = max(new[row, col], old[row, col]), min(new[row, col], old[row, col])
            difference[row, col] = high - low
            if row % 2 == 0 and col % 2 == 0:
                counts[difference[row, col]] += 1
    below, total = 0, counts.sum()
    for level in range(256):
        below += counts[level]
        if 2 * below >= total:
            return float(level)
    return 0.0


@cached_njit
def _mark_changed(
    raster: Raster, sample: Raster, limit: float, ignored: Mask, changed: Mask, seen: Mask
) -> int:
    """Mark in `changed` the points that differ by more than `limit` and aren't ignored, and add
    them to `seen`; returns their number.
    """
    count = 0
    for row in range(sample.shape[0]):
        for col in range(sample.shape[1]):
            difference = abs(np.float32(raster[row, col]) - np.float32(sample[row, col]))
            differs = difference > limit and not ignored[row, col]
            changed[row, col] = differs
            if differs:
                seen[row, col] = True
                count += 1
    return count


@cached_njit
def _mark_lasting(current: Mask, before: Mask, reach: int, lasting: Mask, touched: Mask) -> int:
    """Mark in `lasting` the `current` points within `reach` points, in any direction, of one of
    `before`, and add them to `touched`; returns their number. Same as growing `before`, but few
    points are set.
    """
    count = 0
    for row in range(current.shape[0]):
        for col in range(current.shape[1]):
            lasting[row, col] = False
            if current[row, col]:
                top, left = max(row - reach, 0), max(col - reach, 0)
                if before[top : row + reach + 1, left : col + reach + 1].any():
                    lasting[row, col] = touched[row, col] = True
                    count += 1
    return count


def _at_points(mask: Mask, rows: int, cols: int) -> Mask:
    """The values of a mask at the points of a raster: [rows, cols]."""
    y, x = (
        ((np.arange(count) + 0.5) / count * length).astype(np.intp)
        for count, length in zip((rows, cols), mask.shape, strict=True)
    )
    return mask[np.ix_(y, x)]


def _grown(mask: Mask, points: int) -> Mask:
    """The mask grown by that number of points in all directions."""
    for _ in range(points):
        mask = dilate(mask)
    return mask


def _luma_raster(frame: Frame) -> Raster | None:
    """A view of the shown picture's luma on a sparse raster; None if luma isn't in bytes."""
    picture = frame.picture
    if not _has_byte_luma(picture.format.name):
        return None
    # One VideoPlane: `picture.planes` would create all of them for every frame.
    plane, step = VideoPlane(picture, 0), max(1, picture.width // _RASTER_COLUMNS)
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    raster = luma[step // 2 : picture.height : step, step // 2 : picture.width : step]
    return frame.orientation.apply(raster)


@lru_cache(maxsize=64)
def _has_byte_luma(name: str) -> bool:
    """Whether the first plane of that pixel format is luma of 8 bits."""
    layout = av.VideoFormat(name)
    return layout.is_planar and layout.components[0].bits == 8
