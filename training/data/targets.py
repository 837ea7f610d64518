"""What each cell holds: the dense targets that teach the vision tower to see.

Loss on answers alone stays on the plateau of constant answers; with these it doesn't.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.world import COLOURS, ActorKind, ActorState, Box, GroundTruth
from codecsight.world.labels.ground_truth import EffectState
from codecsight.world.labels.predicates import EFFECT_CLEAR, MIN_MOVING_SPEED
from codecsight.world.scene.actor import MIN_RUNNING_SPEED
from codecsight.world.scene.effects import EffectKind

KINDS, COLOUR_NAMES, EFFECT_KINDS = tuple(ActorKind), tuple(COLOURS), tuple(EffectKind)
# Presence and centre of each kind, colour of people and of vehicles; what is done (moving left and
# right, running, lying); a lamp's light, smoke, fire.
FIRST_MOTION_CHANNEL = 2 * len(KINDS) + 2 * len(COLOUR_NAMES)
FIRST_EFFECT_CHANNEL = FIRST_MOTION_CHANNEL + 4
CHANNELS = FIRST_EFFECT_CHANNEL + len(EFFECT_KINDS)
_COVERED = 0.25


def cell_targets(now: GroundTruth, grid: tuple[int, int]) -> NDArray[np.float32]:
    """0 or 1 for each channel of each cell, float32 [rows, cols, CHANNELS]."""
    found = np.zeros((*grid, CHANNELS), np.float32)
    for seen in now.actors:
        if not seen.clearly_visible:
            continue
        centre = _centre(seen.box, grid)
        where = _cover(seen.box, grid) >= _COVERED
        where[centre] = True
        kind = KINDS.index(seen.kind)
        found[where, kind] = 1
        found[centre][len(KINDS) + kind] = 1
        if seen.kind is not ActorKind.BAG:
            found[
                where, 2 * len(KINDS) + kind * len(COLOUR_NAMES) + COLOUR_NAMES.index(seen.colour)
            ] = 1
            for number, done in enumerate(_doing(seen)):
                found[where, FIRST_MOTION_CHANNEL + number] = np.maximum(
                    found[where, FIRST_MOTION_CHANNEL + number], done
                )
    for sign in now.effects:
        if sign.strength >= EFFECT_CLEAR:
            found[
                _cover(_core(sign), grid) >= _COVERED,
                FIRST_EFFECT_CHANNEL + EFFECT_KINDS.index(sign.kind),
            ] = 1
    return found


def _core(sign: EffectState) -> Box:
    """Where it's plain: smoke thins out as it rises, and sways."""
    box = sign.box
    if sign.kind is not EffectKind.SMOKE:
        return box
    aside, high = (box.right - box.left) * 0.15, box.bottom - box.top
    return Box(box.left + aside, box.top + 0.35 * high, box.right - aside, box.bottom - 0.1 * high)


def _doing(seen: ActorState) -> tuple[bool, ...]:
    speed = seen.velocity[0]
    runs = seen.kind is ActorKind.PERSON and abs(speed) >= MIN_RUNNING_SPEED
    return speed < -MIN_MOVING_SPEED, speed > MIN_MOVING_SPEED, runs, seen.lying


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
