"""Do a cell's pixels differ from what was last shipped for it? Noise and light do not count."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from codecsight.change.grid import PatchGrid
from codecsight.change.tone import Tone, tone

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_NEIGHBOURS = 5  # cells a side over which light is taken to be smooth
_LOUDEST = 20.0  # no noise hides a larger difference: a scene cut must not pass for noise
_THIN = 4  # every so many rows and columns are plenty for a median
_SLACK = 0.5  # pixels by which a resampled picture may lie off
_NEW = 0.016  # share of a cell that may be unknown before the cell is


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
    """How much each pixel of a sampled frame differs from what was shipped: [h, w] grey levels,
    smoothed and without light, and their median; the cells [rows, cols] of which a part was never
    shipped; and how the exposure changed.
    """

    levels: Plane
    median: float
    unseen: Mask
    tone: Tone

    def changed(self, sensitivity: Sensitivity) -> Mask:
        """[rows, cols]: the cells that differ."""
        limit = np.clip(sensitivity.noise * self.median, sensitivity.floor, _LOUDEST)
        changed: Mask = _means(self.levels > limit, self.unseen.shape) > sensitivity.share
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
    new: Picture, old: Picture, grid: PatchGrid, known: Picture | None = None
) -> Difference:
    """Compare a sampled frame with the frame last shipped for the same cells, both [h, w, 3] RGB at
    model input size.

    The rule is the robust one of block-wise change detection: box-smoothed difference, minus a
    bilinear surface through local medians (lamps, shadows), against a threshold that follows the
    noise; the exposure of the whole picture is matched before. `known` [h, w] says that `old` was
    resampled for a camera that moved, and how much of each pixel (of 255) is known.
    """
    after, before = luma(new), luma(old)
    exposure = tone(before, after)
    difference = after - exposure.of_plane(before, after)
    if known is None:
        levels = _levels(difference, grid)
        unseen = np.zeros((grid.rows, grid.cols), np.bool_)
        median = float(np.median(levels[::_THIN, ::_THIN]))
        return Difference(levels, median, unseen, exposure)
    whole = known == 255
    levels = _levels(difference * whole, grid) - _SLACK * _box3(_slope(before))
    some = levels[::_THIN, ::_THIN][whole[::_THIN, ::_THIN]]
    unseen = _means(known, (grid.rows, grid.cols)) < 255 * (1 - _NEW)
    return Difference(
        levels * whole, float(np.median(some)) if some.size else 0.0, unseen, exposure
    )


def _means(values: Mask | Picture, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Each cell's mean: [h, w] -> [rows, cols]."""
    rows, cols = shape
    height, width = values.shape
    tiles = values.reshape(rows, height // rows, cols, width // cols)
    means: NDArray[np.float64] = tiles.mean(axis=(1, 3))
    return means


def luma(picture: Picture) -> Plane:
    """BT.601 luma of an [h, w, 3] RGB picture."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    plane: Plane = picture.astype(np.float32) @ weights
    return plane


def _levels(difference: Plane, grid: PatchGrid) -> Plane:
    smooth = _box3(difference)
    levels: Plane = np.abs(smooth - _light(smooth, grid))
    return levels


def _slope(plane: Plane) -> Plane:
    """How much each pixel may change when the picture moves by one."""
    p = np.pad(plane, 1, mode="edge")
    slope: Plane = (np.abs(p[1:-1, 2:] - p[1:-1, :-2]) + np.abs(p[2:, 1:-1] - p[:-2, 1:-1])) / 2
    return slope


def _box3(plane: Plane) -> Plane:
    """The mean of each pixel's 3x3 neighbourhood, borders repeated."""
    rows = plane * np.float32(1 / 9)
    mean = rows.copy()
    mean[1:] += rows[:-1]
    mean[:-1] += rows[1:]
    mean[0] += rows[0]
    mean[-1] += rows[-1]
    whole: Plane = mean.copy()
    whole[:, 1:] += mean[:, :-1]
    whole[:, :-1] += mean[:, 1:]
    whole[:, 0] += mean[:, 0]
    whole[:, -1] += mean[:, -1]
    return whole


def _light(difference: Plane, grid: PatchGrid) -> Plane:
    """The part of a difference that is smooth over several cells: [h, w].

    Each cell's median, then the median of its neighbours', so that an object must fill more than
    half of the neighbourhood before it is mistaken for light.
    """
    cell = grid.spec.cell
    thin = max(1, cell // 8)
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
