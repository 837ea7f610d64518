"""What truly changed, in the world's own terms.

The truth lives on the scene's plane, not in the picture: a camera that turns changes no scene.
For every policy a canvas of the plane holds what was last shipped of each point, drawn without
noise. A point has changed when it was never shipped, or when it now differs by more than VISIBLE
grey levels in some channel, under the light there is; a cell has truly changed when more than
SHARE of its points have. With a still camera that is: the noise-free picture in this cell differs
from the one that was last shipped for it.

A slot holds several frames, and its tokens are made of all of them; so each has its own canvas, as
it has its own place in what was shipped.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.edge.films import Film
from codecsight.change.grid import PatchGrid
from codecsight.world.view import Window

VISIBLE = 12.0
SHARE = 0.02


class Canvas:
    """What one policy has shipped of a film's scene, for one frame of the slot."""

    def __init__(self, film: Film, grid: PatchGrid) -> None:
        self._film, self._grid = film, grid
        self._shipped = film.plane(0).copy()
        self._known: NDArray[np.bool_] = np.zeros(self._shipped.shape[1:], np.bool_)

    def changed(self, number: int) -> NDArray[np.bool_]:
        """[rows, cols]: the cells of picture `number` that show what was not shipped."""
        rows, cols = self._cells(number)
        down, across = _inside(rows), _inside(cols)
        rows, cols = rows[down], cols[across]
        now, then = self._film.plane(number)[:, down, across], self._shipped[:, down, across]
        limit = VISIBLE / self._film.light(number)
        difference = np.maximum(now, then) - np.minimum(now, then)
        points = (difference > limit).any(axis=0) | ~self._known[down, across]
        by_row = _summed(points.astype(np.float32), rows, self._grid.rows)
        by_cell = _summed(by_row.T, cols, self._grid.cols).T
        high = np.bincount(rows, minlength=self._grid.rows)
        wide = np.bincount(cols, minlength=self._grid.cols)
        changed: NDArray[np.bool_] = by_cell > SHARE * np.outer(high, wide)
        return changed

    def ship(self, number: int, kept: NDArray[np.bool_]) -> None:
        """The kept cells of picture `number` went out."""
        rows, cols = self._cells(number)
        shipped = kept[rows][:, cols] & np.outer(rows >= 0, cols >= 0)
        np.copyto(self._shipped, self._film.plane(number), where=shipped)
        self._known |= shipped

    def _cells(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each row and column of the plane, the row and column of cells it is shown in; -1
        where it is out of view.
        """
        window = self._film.window(number)
        high, wide = self._known.shape
        return (
            _cells(high, window.top, window, self._grid.rows),
            _cells(wide, window.left, window, self._grid.cols),
        )


def _inside(cells: NDArray[np.intp]) -> slice:
    """The rows or columns that are in view."""
    at = np.flatnonzero(cells >= 0)
    return slice(at[0], at[-1] + 1)


def _cells(length: int, start: float, window: Window, cells: int) -> NDArray[np.intp]:
    at = ((np.arange(length) + 0.5) / length - start) / window.size
    return np.where((at >= 0) & (at < 1), np.floor(at * cells), -1).astype(np.intp)


def _summed(
    values: NDArray[np.float32], groups: NDArray[np.intp], count: int
) -> NDArray[np.float32]:
    """Sums of the rows of `values` that belong to each of the (consecutive) groups."""
    starts = np.searchsorted(groups, np.arange(count))
    return np.add.reduceat(values, starts, axis=0)
