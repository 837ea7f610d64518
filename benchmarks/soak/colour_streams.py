"""Streams that can be told apart by what they show: a car of one colour drives to and fro."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.engine import Engine, EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.world import ActorKind, Renderer, Scene
from codecsight.world.labels.questions import topic_question
from codecsight.world.scene.actor import COLOURS, Actor, Waypoint

COLOUR: Question = topic_question("paint")
ROWS, COLS, RATE = 6, 8, 2.0
SEEDS = range(1 << 24, (1 << 24) + 40)  # never trained on
_CHANGED = 6.0  # mean grey levels by which a cell must differ from what was last shipped


@dataclass(frozen=True, slots=True)
class Film:
    """Slots from an anchor on, and what a stream says of its colour after each of them when it has
    the engine to itself: value and probability.
    """

    colour: str
    slots: tuple[Slot, ...]
    alone: tuple[tuple[object, float], ...]


def films(model: VisionLanguageModel, config: EngineConfig, length: int) -> dict[str, Film]:
    """One film of each colour, of a place where the model, alone, is right after every slot."""
    return {colour: _film(model, config, colour, length) for colour in COLOURS}


def _film(model: VisionLanguageModel, config: EngineConfig, colour: str, length: int) -> Film:
    grid = grid_of(model)
    for seed in SEEDS:
        slots = tuple(_slots(scene_of(colour, seed), grid, length))
        alone = said_alone(Engine(model, config), grid, slots)
        if all(value == colour for value, _ in alone):
            return Film(colour, slots, alone)
    raise RuntimeError(f"{model.name} is never sure of a {colour} car")


def grid_of(model: VisionLanguageModel) -> PatchGrid:
    """The grid of all films."""
    return PatchGrid(model.grid_spec(RATE, ROWS * COLS), ROWS, COLS)


def said_alone(
    engine: Engine, grid: PatchGrid, slots: tuple[Slot, ...]
) -> tuple[tuple[object, float], ...]:
    """What is said of the colour after each slot."""
    engine.open("alone", grid)
    said = []
    for slot in slots:
        engine.push("alone", slot)
        answer = engine.ask("alone", COLOUR)
        said.append((answer.value, answer.probability))
    return tuple(said)


def scene_of(colour: str, seed: int) -> Scene:
    """A place with nobody but one car, which is always in plain sight."""
    turns = [Waypoint(8.0 * n, 0.3 if n % 2 else 0.7, 0.8) for n in range(64)]
    car = Actor(1, ActorKind.VEHICLE, colour, 0.22, tuple(turns))
    return replace(Scene.random(seed, "yard"), actors=(car,), traffic=0.0)


def _slots(scene: Scene, grid: PatchGrid, length: int) -> list[Slot]:
    """An anchor, and then what differs from what was last shipped of each cell."""
    cell, frames = grid.spec.cell, grid.spec.frames
    renderer = Renderer(scene, grid.cols * cell * 2, grid.rows * cell * 2)
    shown = np.full((grid.rows, grid.cols, 3, cell, cell), -1e3)
    slots = []
    for index in range(length):
        times = tuple((index * frames + step) / RATE for step in range(frames))
        cells = np.stack([_cells(renderer.frame(time), grid) for time in times], axis=2)
        kept = np.abs(cells[:, :, -1] - shown).mean(axis=(2, 3, 4)) > _CHANGED
        shown[kept] = cells[kept][:, -1]
        kind = SlotKind.ANCHOR if kept.all() else SlotKind.DELTA
        reasons = np.full(int(kept.sum()), Reason.PIXELS, np.uint8)
        slots.append(Slot(kind, kept, cells[kept], reasons, times, times[-1]))
    return slots


def _cells(frame: NDArray[np.uint8], grid: PatchGrid) -> NDArray[np.uint8]:
    """A picture of twice the size as cells [rows, cols, 3, cell, cell]."""
    small = np.asarray(Image.fromarray(frame).reduce(2))
    cell = grid.spec.cell
    split = small.reshape(grid.rows, cell, grid.cols, cell, 3)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3))
