"""Masks of what to ignore: places whose changes say nothing, such as a clock in the picture.

Polygons are in relative coordinates of the picture as it is shown: (0, 0) is its upper left corner,
(1, 1) its lower right one.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from codecsight.change.measurement.plane_filters import dilate
from codecsight.change.measurement.yuv_planes import Mask
from codecsight.core.grid import PatchGrid

Polygon = Sequence[tuple[float, float]]
"""At least three points (x, y)."""

_MARGIN = 2  # pixels that scaling and box filters carry a change beyond the polygon
_COVERED = 0.95  # share of a cell's pixels from which on the whole cell is ignored
_MIN_SLOTS = 10  # that a proposal rests on
_ALWAYS = 0.9  # share of slots in which a cell must be kept to be proposed
_MAX_PROPOSED = 0.15  # share of cells: more is a busy scene, no overlay


def pixel_mask(polygons: Sequence[Polygon], width: int, height: int) -> Mask:
    """[height, width]: the pixels that the polygons touch, and a margin around them."""
    image = Image.new("1", (width, height))
    pen = ImageDraw.Draw(image)
    for polygon in polygons:
        corners = [(x * width - 0.5, y * height - 0.5) for x, y in polygon]
        pen.polygon(corners, fill=1, outline=1)
    mask = np.array(image, np.bool_)
    for _ in range(_MARGIN):
        mask = dilate(mask)
    return mask


def covered_cells(mask: Mask, grid: PatchGrid) -> Mask:
    """[rows, cols]: cells that `mask` [h, w], at the size of the model's input, covers."""
    cell = grid.spec.cell
    share = mask.reshape(grid.rows, cell, grid.cols, cell).mean(axis=(1, 3))
    covered: Mask = share >= _COVERED
    return covered


def propose_ignore(kept: Sequence[Mask]) -> list[Polygon]:
    """Polygons around the cells that change in every slot at the same place, as a clock does.

    `kept` are the kept cells [rows, cols] of the delta slots of some time in which the scene was
    mostly quiet; anchors keep all cells and must be left out. Returns one rectangle for each run of
    such cells, equal runs in adjacent rows joined; none if there are too few slots, or if more than
    a few cells change all the time: that is a busy scene.
    """
    if len(kept) < _MIN_SLOTS:
        return []
    always: Mask = np.mean(np.stack(kept), axis=0) >= _ALWAYS
    if always.mean() > _MAX_PROPOSED:
        return []
    rows, cols = always.shape
    return [
        _rectangle(first / cols, top / rows, end / cols, bottom / rows)
        for top, bottom, first, end in _joined_runs(always)
    ]


def _rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    a, b, c, d = (round(value, 4) for value in (left, top, right, bottom))
    return ((a, b), (c, b), (c, d), (a, d))


def _joined_runs(mask: Mask) -> list[tuple[int, int, int, int]]:
    """The set cells as rectangles (top, bottom, first, end), in rows and columns."""
    done: list[tuple[int, int, int, int]] = []
    open_runs: dict[tuple[int, int], int] = {}  # (first, end) column -> top row
    for row in range(mask.shape[0] + 1):
        runs = _runs(mask[row]) if row < mask.shape[0] else []
        for run in [run for run in open_runs if run not in runs]:
            done.append((open_runs.pop(run), row, *run))
        for run in runs:
            open_runs.setdefault(run, row)
    return sorted(done)


def _runs(row: Mask) -> list[tuple[int, int]]:
    """(first, end) of each run of set cells in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
