"""Do a cell's pixels differ from what was last shipped for it? Noise and light do not count."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import Exposure, tone
from codecsight.change.measurement.pixel_difference import THIN, brighter, differences, less, lit
from codecsight.change.measurement.yuv_planes import (
    Mask,
    Picture,
    Plane,
    Planes,
    RgbImage,
    means,
    medians,
    shares,
    slope,
    smoothed,
)
from codecsight.core.grid import PatchGrid
from codecsight.jit import cached_njit

_NEIGHBOURS = 5  # cells a side over which light is taken to be smooth
_LOUDEST = 20.0  # no noise hides a larger difference: a scene cut must not pass for noise
_SLACK = 0.5  # pixels by which a resampled picture may lie off
_WHOLE = 0.999  # of a pixel known: all of it, but for rounding
_NEW = 0.016  # share of a cell that may be unknown before the cell is
_COLOUR = 0.45  # what a difference of colour counts, against one of brightness


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """When a cell counts as changed: more than `share` of its pixels differ by more than `floor`
    grey levels and more than `noise` times the picture's median difference.
    """

    floor: float
    noise: float
    share: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How much each pixel of a sampled frame differs from what was shipped: [n, h, w] grey levels
    in brightness and, of a camera that stands still, in colour, smoothed and without light, and
    their `medians`; the cells [rows, cols] of which a part was never shipped; and how the exposure
    changed.
    """

    levels: Planes
    medians: NDArray[np.float64]
    unseen: Mask
    tone: Exposure

    def changed(self, sensitivity: Sensitivity) -> Mask:
        """[rows, cols]: the cells that differ."""
        limits = np.clip(sensitivity.noise * self.medians, sensitivity.floor, _LOUDEST)
        found = shares(self.levels, limits.astype(np.float32), *self.unseen.shape)
        changed: Mask = found > sensitivity.share
        return changed | self.unseen


def changed(differences: Iterable[Difference], sensitivity: Sensitivity) -> Mask:
    """[rows, cols]: the cells that differ in any of a slot's frames. A slot's token is made of all
    of them, so that a cell whose shipped frames differed among themselves is shipped again once it
    has come to rest.
    """
    masks = [difference.changed(sensitivity) for difference in differences]
    together: Mask = np.logical_or.reduce(masks)
    return together


def compare(
    new: Picture, old: RgbImage | Planes, grid: PatchGrid, known: Plane | None = None
) -> Difference:
    """Compare a sampled frame with the frame last shipped for the same cells, both at model input
    size.

    The rule is the robust one of block-wise change detection: box-smoothed difference, minus a
    bilinear surface through local medians (lamps, shadows), against a threshold that follows the
    noise; the exposure of the whole picture is matched before. `known` [h, w] says that `old` was
    resampled for a camera that moved, and how much of each pixel (up to 1) is known; then
    brightness alone is compared.
    """
    exposure = tone(old, new.picture)
    if known is None:
        levels, apart = differences(new.picture, old, exposure, _COLOUR)
        bright = lit(levels[0], *_light(levels[0], grid))
        unseen = np.zeros((grid.rows, grid.cols), np.bool_)
        return Difference(levels, np.array([bright, apart]), unseen, exposure)
    whole = known > _WHOLE
    levels = _known_levels(new.planes[0], old[0], exposure, grid, whole)
    some = levels[0, ::THIN, ::THIN][whole[::THIN, ::THIN]]
    median = float(np.median(some)) if some.size else 0.0
    unseen = means(known, grid.rows, grid.cols) < 1 - _NEW
    return Difference(levels, np.array([median]), unseen, exposure)


def _known_levels(
    new: Plane, old: Plane, exposure: Exposure, grid: PatchGrid, whole: Mask
) -> Planes:
    """[1, h, w]: differences in brightness, where all is known, less what half a pixel makes."""
    levels = np.empty((1, *new.shape), np.float32)
    gain, offset = np.float32(exposure.gain), np.float32(exposure.offset)
    levels[0] = smoothed(brighter(new, old, gain, offset, exposure.same, whole))
    lit(levels[0], *_light(levels[0], grid))
    less(levels[0], smoothed(slope(old)), np.float32(_SLACK), whole)
    return levels


def _light(difference: Plane, grid: PatchGrid) -> tuple[Plane, Plane]:
    """The part of a difference that is smooth over several cells, as two factors: [h, rows] and
    [rows, w].

    Each cell's median, then the median of its neighbours', so that an object must fill more than
    half of the neighbourhood before it is mistaken for light.
    """
    cell = grid.spec.cell
    local = medians(difference, grid.rows, grid.cols, max(1, cell // 5))
    smooth = _around(_beyond(local, _NEIGHBOURS // 2), _NEIGHBOURS)
    return _spread(grid.rows, cell), np.asarray(smooth @ _spread(grid.cols, cell).T, np.float32)


@cached_njit
def _beyond(values: Plane, reach: int) -> Plane:
    """The values and `reach` more on each side: beyond the border light goes on as it was going, so
    that it's an odd reflection, which keeps the slope.
    """
    rows, cols = values.shape
    padded = np.empty((rows + 2 * reach, cols + 2 * reach), np.float32)
    padded[reach : reach + rows, reach : reach + cols] = values
    inner = padded[:, reach : reach + cols]
    for far in range(1, reach + 1):
        mirrored, last = min(far, rows - 1), reach + rows - 1
        inner[reach - far] = 2 * inner[reach] - inner[reach + mirrored]
        inner[last + far] = 2 * inner[last] - inner[last - mirrored]
    for far in range(1, reach + 1):
        mirrored, last = min(far, cols - 1), reach + cols - 1
        padded[:, reach - far] = 2 * padded[:, reach] - padded[:, reach + mirrored]
        padded[:, last + far] = 2 * padded[:, last] - padded[:, last - mirrored]
    return padded


@cached_njit
def _around(beyond: Plane, side: int) -> Plane:
    """The median of `side` x `side` values from each on that has as many."""
    rows, cols = beyond.shape[0] - side + 1, beyond.shape[1] - side + 1
    found = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            found[row, col] = np.median(beyond[row : row + side, col : col + side])
    return found


@lru_cache(maxsize=64)
def _spread(cells: int, cell: int) -> Plane:
    """[cells * cell, cells]: linear interpolation from cell centres to pixels."""
    at = np.clip((np.arange(cells * cell) + 0.5) / cell - 0.5, 0, cells - 1)
    hat: Plane = np.clip(1 - np.abs(at[:, None] - np.arange(cells)), 0, None).astype(np.float32)
    return hat
