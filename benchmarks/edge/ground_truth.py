"""Ground truth of change in world clips: which cells differ from what was shipped.

Truth is defined on the scene, not in the picture, so that a camera that turns does not change the
scene. For each policy, a `ShippedScene` holds what was last shipped of each point of the scene,
rendered without noise. A point has changed if it was never shipped, or if it differs by more than
VISIBLE grey levels in some channel, under the current light. (A point at the picture's border is
visible in part, and may have been shipped in part.) A cell has changed if more than SHARE of its
area has. For a static camera, this compares the noise-free picture of the cell with the one last
shipped.

A slot holds several frames, and its tokens are made of all of them. So each frame of a slot is
compared with its own ShippedScene.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.core.grid import PatchGrid
from codecsight.world.scene.view import ViewRegion

VISIBLE = 12.0  # grey levels
SHARE = 0.02  # of a cell's area


class RenderedScene(Protocol):
    """A clip whose scene can be rendered for any frame number."""

    def scene_image(self, number: int) -> NDArray[np.uint8]:
        """The whole scene, without noise and light drift: RGB, uint8 [3, h, w]."""
        ...

    def view_region(self, number: int) -> ViewRegion:
        """The region of the scene that the frame shows."""
        ...

    def light_factor(self, number: int) -> float:
        """Brightness of the scene, as a factor."""
        ...


class ShippedScene:
    """What one policy has shipped of a clip's scene, for one frame of the slot."""

    def __init__(self, clip: RenderedScene, grid: PatchGrid) -> None:
        self._clip, self._grid = clip, grid
        self._shipped = clip.scene_image(0).copy()
        self._shipped_share = np.zeros(self._shipped.shape[1:], np.float32)

    def changed_cells(self, number: int) -> NDArray[np.bool_]:
        """[rows, cols]: cells of frame `number` that differ from what was shipped."""
        down, across = self._axes(number)
        region = (down.points, across.points)
        new, old = self._clip.scene_image(number)[:, *region], self._shipped[:, *region]
        # Light scales differences in the picture; the scene is rendered without it.
        limit = VISIBLE / self._clip.light_factor(number)
        difference = np.maximum(new, old) - np.minimum(new, old)
        visible = np.outer(down.visible, across.visible)
        changed_area = np.where(
            (difference > limit).any(axis=0), visible, visible - self._shipped_share[region]
        )
        by_row = _group_sums(np.maximum(changed_area, 0), down.cells, self._grid.rows)
        by_cell = _group_sums(by_row.T, across.cells, self._grid.cols).T
        heights, widths = (
            _group_sums(axis.visible, axis.cells, count)
            for axis, count in ((down, self._grid.rows), (across, self._grid.cols))
        )
        changed: NDArray[np.bool_] = by_cell > SHARE * np.outer(heights, widths)
        return changed

    def mark_shipped(self, number: int, kept: NDArray[np.bool_]) -> None:
        """Record that the kept cells of frame `number` were shipped."""
        down, across = self._axes(number)
        region = (down.points, across.points)
        shipped = kept[down.cells][:, across.cells]
        np.copyto(
            self._shipped[:, *region], self._clip.scene_image(number)[:, *region], where=shipped
        )
        visible = np.outer(down.visible, across.visible) * shipped
        np.maximum(self._shipped_share[region], visible, out=self._shipped_share[region])

    def _axes(self, number: int) -> "tuple[_Axis, _Axis]":
        region = self._clip.view_region(number)
        high, wide = self._clip.scene_image(number).shape[1:]
        return (
            _axis(high, region.top, region.size, self._grid.rows),
            _axis(wide, region.left, region.size, self._grid.cols),
        )


@dataclass(frozen=True)
class _Axis:
    """The rows (or columns) of scene points in view: for each, the share that is visible (up to 1),
    and the row (or column) of cells that it lies in.
    """

    points: slice
    visible: NDArray[np.float32]
    cells: NDArray[np.intp]


def _axis(length: int, start: float, size: float, cells: int) -> _Axis:
    """The points of an axis of `length` in view, given the view's start and size as shares."""
    first, last = start * length, (start + size) * length
    points = np.arange(int(first), min(int(np.ceil(last - 1e-6)), length))
    visible = np.minimum(points + 1, last) - np.maximum(points, first)
    position = (points + 0.5 - first) / (last - first)
    row = np.clip(np.floor(position * cells), 0, cells - 1).astype(np.intp)
    return _Axis(slice(points[0], points[-1] + 1), visible.astype(np.float32), row)


def _group_sums(
    values: NDArray[np.float32], groups: NDArray[np.intp], count: int
) -> NDArray[np.float32]:
    """Sums of the rows of `values` over each of `count` consecutive groups."""
    starts = np.searchsorted(groups, np.arange(count))
    return np.add.reduceat(values, starts, axis=0)
