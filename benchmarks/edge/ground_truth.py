"""What truly changed, in the world's own terms.

The truth lives on the scene's plane, not in the picture: a camera that turns changes no scene. For
every policy a canvas of the plane holds what was last shipped of each point, drawn without noise. A
point has changed when it was never shipped (or as far as it was not: at the border of the picture
points are shown in part), or when it now differs by more than VISIBLE grey levels in some channel,
under the light there is; a cell has truly changed when more than SHARE of its area has. With a
still camera that is: the noise-free picture in this cell differs from the one that was last shipped
for it.

A slot holds several frames, and its tokens are made of all of them; so each has its own canvas, as
it has its own place in what was shipped.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.core.grid import PatchGrid
from codecsight.world.scene.view import ViewRegion

VISIBLE = 12.0
SHARE = 0.02


class RenderedScene(Protocol):
    """A film whose scene can be drawn again, picture by picture."""

    def plane(self, number: int) -> NDArray[np.uint8]:
        """The whole scene, without noise and drift of light: RGB, uint8 [3, h, w]."""
        ...

    def window(self, number: int) -> ViewRegion:
        """Which part of the scene that picture shows."""
        ...

    def light(self, number: int) -> float:
        """How bright the scene was, as a factor."""
        ...


class ShippedScene:
    """What one policy has shipped of a film's scene, for one frame of the slot."""

    def __init__(self, film: RenderedScene, grid: PatchGrid) -> None:
        self._film, self._grid = film, grid
        self._shipped = film.plane(0).copy()
        self._known = np.zeros(self._shipped.shape[1:], np.float32)

    def changed(self, number: int) -> NDArray[np.bool_]:
        """[rows, cols]: the cells of picture `number` that show what was not shipped."""
        down, across = self._axes(number)
        part = (down.points, across.points)
        now, then = self._film.plane(number)[:, *part], self._shipped[:, *part]
        limit = VISIBLE / self._film.light(number)
        difference = np.maximum(now, then) - np.minimum(now, then)
        shown = np.outer(down.shown, across.shown)
        new = np.where((difference > limit).any(axis=0), shown, shown - self._known[part])
        by_row = _summed(np.maximum(new, 0), down.cells, self._grid.rows)
        by_cell = _summed(by_row.T, across.cells, self._grid.cols).T
        high, wide = (
            _summed(axis.shown, axis.cells, count)
            for axis, count in ((down, self._grid.rows), (across, self._grid.cols))
        )
        changed: NDArray[np.bool_] = by_cell > SHARE * np.outer(high, wide)
        return changed

    def ship(self, number: int, kept: NDArray[np.bool_]) -> None:
        """The kept cells of picture `number` went out."""
        down, across = self._axes(number)
        part = (down.points, across.points)
        shipped = kept[down.cells][:, across.cells]
        np.copyto(self._shipped[:, *part], self._film.plane(number)[:, *part], where=shipped)
        shown = np.outer(down.shown, across.shown) * shipped
        np.maximum(self._known[part], shown, out=self._known[part])

    def _axes(self, number: int) -> "tuple[_Axis, _Axis]":
        window = self._film.window(number)
        high, wide = self._film.plane(number).shape[1:]
        return (
            _axis(high, window.top, window.size, self._grid.rows),
            _axis(wide, window.left, window.size, self._grid.cols),
        )


@dataclass(frozen=True)
class _Axis:
    """The rows (or columns) of the plane that are in view: for each how much of it is shown, up to
    1, and the row of cells it is in.
    """

    points: slice
    shown: NDArray[np.float32]
    cells: NDArray[np.intp]


def _axis(length: int, start: float, size: float, cells: int) -> _Axis:
    first, last = start * length, (start + size) * length
    points = np.arange(int(first), min(int(np.ceil(last - 1e-6)), length))
    shown = np.minimum(points + 1, last) - np.maximum(points, first)
    at = (points + 0.5 - first) / (last - first)
    row = np.clip(np.floor(at * cells), 0, cells - 1).astype(np.intp)
    return _Axis(slice(points[0], points[-1] + 1), shown.astype(np.float32), row)


def _summed(
    values: NDArray[np.float32], groups: NDArray[np.intp], count: int
) -> NDArray[np.float32]:
    """Sums of the rows of `values` that belong to each of the (consecutive) groups."""
    starts = np.searchsorted(groups, np.arange(count))
    return np.add.reduceat(values, starts, axis=0)
