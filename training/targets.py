"""What each cell holds: the dense targets that teach the vision tower to see.

Loss on answers alone stays on the plateau of constant answers; with these it doesn't.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.world import COLOURS, Box, Kind, Truth

KINDS, PAINTS = tuple(Kind), tuple(COLOURS)
# Presence and centre of each kind, colour of people and of vehicles, moving left and right.
CHANNELS = 2 * len(KINDS) + 2 * len(PAINTS) + 2
_COVERED, _MOVING = 0.25, 0.035


def cell_targets(now: Truth, grid: tuple[int, int]) -> NDArray[np.float32]:
    """0 or 1 for each channel of each cell, float32 [rows, cols, CHANNELS]."""
    found = np.zeros((*grid, CHANNELS), np.float32)
    for seen in now.actors:
        if not seen.clear:
            continue
        centre = _centre(seen.box, grid)
        where = _cover(seen.box, grid) >= _COVERED
        where[centre] = True
        kind = KINDS.index(seen.kind)
        found[where, kind] = 1
        found[centre][len(KINDS) + kind] = 1
        if seen.kind is not Kind.BAG:
            found[where, 2 * len(KINDS) + kind * len(PAINTS) + PAINTS.index(seen.colour)] = 1
            for channel, sign in ((-2, -1), (-1, 1)):
                found[where, channel] = np.maximum(
                    found[where, channel], seen.velocity[0] * sign > _MOVING
                )
    return found


def _centre(box: Box, grid: tuple[int, int]) -> tuple[int, int]:
    row = int((box.top + box.bottom) / 2 * grid[0])
    col = int((box.left + box.right) / 2 * grid[1])
    return min(max(row, 0), grid[0] - 1), min(max(col, 0), grid[1] - 1)


def _cover(box: Box, grid: tuple[int, int]) -> NDArray[np.float64]:
    """The share of each cell that lies within the box, [rows, cols]."""
    return _overlap(box.top, box.bottom, grid[0])[:, None] * _overlap(box.left, box.right, grid[1])


def _overlap(start: float, end: float, cells: int) -> NDArray[np.float64]:
    edges = np.arange(cells + 1, dtype=np.float64)
    shared = np.minimum(edges[1:], end * cells) - np.maximum(edges[:-1], start * cells)
    return shared.clip(0, 1)
