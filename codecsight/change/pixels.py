"""Do a cell's pixels differ from what was last shipped for it? Noise and light do not count."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from codecsight.change.grid import PatchGrid

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

_NEIGHBOURS = 5  # cells a side over which light is taken to be smooth
_LOUDEST = 20.0  # no noise hides a larger difference: a scene cut must not pass for noise


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """When a cell counts as changed: more than `share` of its pixels differ by more than `floor`
    grey levels and more than `noise` times the picture's median difference.
    """

    floor: float
    noise: float
    share: float


@dataclass(frozen=True, slots=True)
class Differences:
    """How much each pixel of each sampled frame differs from what was shipped: [frames, h, w]
    grey levels, smoothed and without local light, and each frame's median.
    """

    levels: Plane
    median: Plane
    grid: PatchGrid

    def changed(self, sensitivity: Sensitivity) -> NDArray[np.bool_]:
        """[rows, cols]: the cells that differ in any of the frames."""
        limit = np.clip(sensitivity.noise * self.median, sensitivity.floor, _LOUDEST)
        hits = self.levels > limit[:, None, None]
        grid, cell = self.grid, self.grid.spec.cell
        shares = hits.reshape(len(hits), grid.rows, cell, grid.cols, cell).mean(axis=(2, 4))
        changed: NDArray[np.bool_] = (shares > sensitivity.share).any(axis=0)
        return changed


def compare(pictures: Picture, shipped: Picture, grid: PatchGrid) -> Differences:
    """Compare the sampled frames one by one with the frames last shipped for the same cells, both
    [frames, h, w, 3] RGB at model input size. A slot's token is made of all its frames, so a cell
    whose shipped frames differed among themselves is shipped again once it has come to rest.

    The rule is the robust one of block-wise change detection: box-smoothed difference, minus a
    bilinear surface through local medians (exposure, lamps, shadows), against a threshold that
    follows the noise.
    """
    levels = np.stack(
        [_levels(_luma(a), _luma(b), grid) for a, b in zip(pictures, shipped, strict=True)]
    )
    # Every other pixel is plenty for a median, and a quarter of the work.
    median = np.median(levels[:, ::2, ::2], axis=(1, 2)).astype(np.float32)
    return Differences(levels, median, grid)


def _levels(new: Plane, old: Plane, grid: PatchGrid) -> Plane:
    smooth = _box3(new - old)
    levels: Plane = np.abs(smooth - _light(smooth, grid))
    return levels


def _luma(picture: Picture) -> Plane:
    """BT.601 luma of an [h, w, 3] RGB picture."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    luma: Plane = picture.astype(np.float32) @ weights
    return luma


def _box3(plane: Plane) -> Plane:
    """The mean of each pixel's 3x3 neighbourhood, borders repeated."""
    p = np.pad(plane, 1, mode="edge")
    rows = p[:-2] + p[1:-1] + p[2:]
    mean: Plane = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return mean


def _light(difference: Plane, grid: PatchGrid) -> Plane:
    """The part of a difference that is smooth over several cells: [h, w].

    Each cell's median, then the median of its neighbours', so that an object must fill more than
    half of the neighbourhood before it is mistaken for light.
    """
    cell = grid.spec.cell
    tiles = difference.reshape(grid.rows, cell, grid.cols, cell)[:, ::2, :, ::2]
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
