"""What each cell holds: the dense targets that teach the vision tower to see.

Loss on answers alone stays on the plateau of constant answers; with these it doesn't.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.world import COLOURS, Box, Kind, Seen, Truth
from codecsight.world.actor import RUNNING
from codecsight.world.effects import EffectKind
from codecsight.world.truth import Sign
from codecsight.world.verdicts import MOVING, PLAIN

KINDS, PAINTS, SIGNS = tuple(Kind), tuple(COLOURS), tuple(EffectKind)
# Presence and centre of each kind, colour of people and of vehicles; what is done (moving left and
# right, running, lying); a lamp's light, smoke, fire.
DOING = 2 * len(KINDS) + 2 * len(PAINTS)
SHOWING = DOING + 4
CHANNELS = SHOWING + len(SIGNS)
_COVERED = 0.25


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
            for number, done in enumerate(_doing(seen)):
                found[where, DOING + number] = np.maximum(found[where, DOING + number], done)
    for sign in now.signs:
        if sign.strength >= PLAIN:
            found[_cover(_core(sign), grid) >= _COVERED, SHOWING + SIGNS.index(sign.kind)] = 1
    return found


def _core(sign: Sign) -> Box:
    """Where it's plain: smoke thins out as it rises, and sways."""
    box = sign.box
    if sign.kind is not EffectKind.SMOKE:
        return box
    aside, high = (box.right - box.left) * 0.15, box.bottom - box.top
    return Box(box.left + aside, box.top + 0.35 * high, box.right - aside, box.bottom - 0.1 * high)


def _doing(seen: Seen) -> tuple[bool, ...]:
    speed = seen.velocity[0]
    runs = seen.kind is Kind.PERSON and abs(speed) >= RUNNING
    return speed < -MOVING, speed > MOVING, runs, seen.lies


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
