"""Do a cell's pixels differ from what was last shipped for it? Noise and light do not count."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from codecsight.change.grid import PatchGrid
from codecsight.change.planes import Plane, Planes, means, shares, slope, smoothed
from codecsight.change.tone import Tone, tone

Mask = NDArray[np.bool_]

_NEIGHBOURS = 5  # cells a side over which light is taken to be smooth
_LOUDEST = 20.0  # no noise hides a larger difference: a scene cut must not pass for noise
_THIN = 4  # every so many rows and columns are plenty for a median
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
    tone: Tone

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


def compare(new: Planes, old: Planes, grid: PatchGrid, known: Plane | None = None) -> Difference:
    """Compare a sampled frame with the frame last shipped for the same cells, both at model input
    size.

    The rule is the robust one of block-wise change detection: box-smoothed difference, minus a
    bilinear surface through local medians (lamps, shadows), against a threshold that follows the
    noise; the exposure of the whole picture is matched before. `known` [h, w] says that `old` was
    resampled for a camera that moved, and how much of each pixel (up to 1) is known; then
    brightness alone is compared.
    """
    exposure = tone(old[0], new[0])
    if known is None:
        levels = _levels(new, old, exposure, grid)
        medians = np.array([np.median(level[::_THIN, ::_THIN]) for level in levels])
        return Difference(levels, medians, np.zeros((grid.rows, grid.cols), np.bool_), exposure)
    whole = known > _WHOLE
    levels = _known_levels(new, old, exposure, grid, whole)
    some = levels[0, ::_THIN, ::_THIN][whole[::_THIN, ::_THIN]]
    median = float(np.median(some)) if some.size else 0.0
    unseen = means(known, grid.rows, grid.cols) < 1 - _NEW
    return Difference(levels, np.array([median]), unseen, exposure)


def _levels(new: Planes, old: Planes, exposure: Tone, grid: PatchGrid) -> Planes:
    """[2, h, w]: differences in brightness and in colour."""
    levels = np.empty((2, *new.shape[1:]), np.float32)
    bright = smoothed(new[0] - exposure.of_plane(old[0], new[0]))
    np.abs(bright - _light(bright, grid), out=levels[0])
    colours = exposure.of_colours(old)
    red, blue = smoothed(new[1] - colours[0]), smoothed(new[2] - colours[1])
    np.maximum(np.abs(red), np.abs(blue), out=levels[1])
    levels[1] *= _COLOUR
    return levels


def _known_levels(new: Planes, old: Planes, exposure: Tone, grid: PatchGrid, whole: Mask) -> Planes:
    """[1, h, w]: differences in brightness, where all is known, less what half a pixel makes."""
    difference = (new[0] - exposure.of_plane(old[0], new[0])) * whole
    bright = smoothed(difference)
    slack = np.float32(_SLACK) * smoothed(slope(old[0]))
    levels: Planes = ((np.abs(bright - _light(bright, grid)) - slack) * whole)[None]
    return levels


def _light(difference: Plane, grid: PatchGrid) -> Plane:
    """The part of a difference that is smooth over several cells: [h, w].

    Each cell's median, then the median of its neighbours', so that an object must fill more than
    half of the neighbourhood before it is mistaken for light.
    """
    cell = grid.spec.cell
    thin = max(1, cell // 5)
    tiles = difference.reshape(grid.rows, cell, grid.cols, cell)[:, ::thin, :, ::thin]
    medians = np.median(tiles, axis=(1, 3))
    reach = _NEIGHBOURS // 2
    # Beyond the border light goes on as it was going: an odd reflection keeps its slope.
    beyond = np.pad(medians, reach, mode="reflect", reflect_type="odd")
    windows = sliding_window_view(beyond, (_NEIGHBOURS, _NEIGHBOURS))
    smooth = np.median(windows, axis=(2, 3)).astype(np.float32)
    return np.asarray(_spread(grid.rows, cell) @ smooth @ _spread(grid.cols, cell).T, np.float32)


@lru_cache(maxsize=64)
def _spread(cells: int, cell: int) -> Plane:
    """[cells * cell, cells]: linear interpolation from cell centres to pixels."""
    at = np.clip((np.arange(cells * cell) + 0.5) / cell - 0.5, 0, cells - 1)
    hat: Plane = np.clip(1 - np.abs(at[:, None] - np.arange(cells)), 0, None).astype(np.float32)
    return hat
