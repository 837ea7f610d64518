"""Dense per-cell targets for the vision tower.

With the loss on answers alone training stays on a plateau of constant answers; the auxiliary loss
on these targets avoids that.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.world import COLOURS, ActorKind, ActorState, Box, GroundTruth
from codecsight.world.labels.ground_truth import EffectState
from codecsight.world.labels.predicates import EFFECT_CLEAR, MIN_MOVING_SPEED
from codecsight.world.scene.actor import MIN_RUNNING_SPEED
from codecsight.world.scene.effects import EffectKind

KINDS, COLOUR_NAMES, EFFECT_KINDS = tuple(ActorKind), tuple(COLOURS), tuple(EffectKind)
# Channels: presence and centre of each actor kind, colour of people and of vehicles; motion (left,
# right, running, lying); effects (lamp, smoke, fire).
FIRST_MOTION_CHANNEL = 2 * len(KINDS) + 2 * len(COLOUR_NAMES)
FIRST_EFFECT_CHANNEL = FIRST_MOTION_CHANNEL + 4
CHANNELS = FIRST_EFFECT_CHANNEL + len(EFFECT_KINDS)
_MIN_COVERAGE = 0.25  # share of a cell that a box must cover


def cell_targets(now: GroundTruth, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Targets of 0 or 1, float32 [rows, cols, CHANNELS]."""
    targets = np.zeros((*grid, CHANNELS), np.float32)
    for actor in now.actors:
        if actor.clearly_visible:
            _mark_actor(targets, actor, grid)
    for effect in now.effects:
        if effect.strength >= EFFECT_CLEAR:
            cells = _coverage(_core(effect), grid) >= _MIN_COVERAGE
            targets[cells, FIRST_EFFECT_CHANNEL + EFFECT_KINDS.index(effect.kind)] = 1
    return targets


def _mark_actor(targets: NDArray[np.float32], actor: ActorState, grid: tuple[int, int]) -> None:
    centre = _centre(actor.box, grid)
    cells = _coverage(actor.box, grid) >= _MIN_COVERAGE
    cells[centre] = True
    kind = KINDS.index(actor.kind)
    targets[cells, kind] = 1
    targets[centre][len(KINDS) + kind] = 1
    if actor.kind is ActorKind.BAG:
        return
    colour = kind * len(COLOUR_NAMES) + COLOUR_NAMES.index(actor.colour)
    targets[cells, 2 * len(KINDS) + colour] = 1
    for channel, value in enumerate(_motion(actor), start=FIRST_MOTION_CHANNEL):
        targets[cells, channel] = np.maximum(targets[cells, channel], value)


def _core(effect: EffectState) -> Box:
    """The dense part of an effect's box: smoke thins out while it rises, and sways."""
    box = effect.box
    if effect.kind is not EffectKind.SMOKE:
        return box
    margin, height = (box.right - box.left) * 0.15, box.bottom - box.top
    return Box(
        box.left + margin,
        box.top + 0.35 * height,
        box.right - margin,
        box.bottom - 0.1 * height,
    )


def _motion(actor: ActorState) -> tuple[bool, ...]:
    speed = actor.velocity[0]
    runs = actor.kind is ActorKind.PERSON and abs(speed) >= MIN_RUNNING_SPEED
    return speed < -MIN_MOVING_SPEED, speed > MIN_MOVING_SPEED, runs, actor.lying


def _centre(box: Box, grid: tuple[int, int]) -> tuple[int, int]:
    row = int((box.top + box.bottom) / 2 * grid[0])
    col = int((box.left + box.right) / 2 * grid[1])
    return min(max(row, 0), grid[0] - 1), min(max(col, 0), grid[1] - 1)


def _coverage(box: Box, grid: tuple[int, int]) -> NDArray[np.float64]:
    """Share of each cell that lies within the box, [rows, cols]."""
    return _overlap(box.top, box.bottom, grid[0])[:, None] * _overlap(box.left, box.right, grid[1])


def _overlap(start: float, end: float, cells: int) -> NDArray[np.float64]:
    edges = np.arange(cells + 1, dtype=np.float64)
    shared = np.minimum(edges[1:], end * cells) - np.maximum(edges[:-1], start * cells)
    return shared.clip(0, 1)
