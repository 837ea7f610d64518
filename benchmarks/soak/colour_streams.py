"""Streams distinguishable by their answers: a car of one colour drives back and forth in each."""

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
SEEDS = range(1 << 24, (1 << 24) + 40)  # not used in training
_CHANGED = 6.0  # least mean difference, in grey levels, from a cell's last shipped pixels


@dataclass(frozen=True, slots=True)
class ColourTrace:
    """Slots of one stream, starting with an anchor, and its answers when it has the engine alone.

    `alone`: value and probability of the answer to COLOUR after each slot.
    """

    colour: str
    slots: tuple[Slot, ...]
    alone: tuple[tuple[object, float], ...]


def colour_traces(
    model: VisionLanguageModel, config: EngineConfig, length: int
) -> dict[str, ColourTrace]:
    """Return a trace of each colour, in a scene where the model alone is right after every slot."""
    return {colour: _colour_trace(model, config, colour, length) for colour in COLOURS}


def _colour_trace(
    model: VisionLanguageModel, config: EngineConfig, colour: str, length: int
) -> ColourTrace:
    grid = grid_of(model)
    for seed in SEEDS:
        slots = tuple(_slots(scene_of(colour, seed), grid, length))
        alone = answers_alone(Engine(model, config), grid, slots)
        if all(value == colour for value, _ in alone):
            return ColourTrace(colour, slots, alone)
    raise RuntimeError(f"{model.name} does not recognise a {colour} car reliably in any scene")


def grid_of(model: VisionLanguageModel) -> PatchGrid:
    """Return the grid of all traces."""
    return PatchGrid(model.grid_spec(RATE, ROWS * COLS), ROWS, COLS)


def answers_alone(
    engine: Engine, grid: PatchGrid, slots: tuple[Slot, ...]
) -> tuple[tuple[object, float], ...]:
    """Return value and probability of the answer to COLOUR after each slot."""
    engine.open("alone", grid)
    answers = []
    for slot in slots:
        engine.push("alone", slot)
        answer = engine.ask("alone", COLOUR)
        answers.append((answer.value, answer.probability))
    return tuple(answers)


def scene_of(colour: str, seed: int) -> Scene:
    """Return a scene with one car, which is always visible, and nobody else."""
    waypoints = [Waypoint(8.0 * n, 0.3 if n % 2 else 0.7, 0.8) for n in range(64)]
    car = Actor(1, ActorKind.VEHICLE, colour, 0.22, tuple(waypoints))
    return replace(Scene.random(seed, "yard"), actors=(car,), traffic=0.0)


def _slots(scene: Scene, grid: PatchGrid, length: int) -> list[Slot]:
    """Return an anchor, then deltas of the cells that differ from their last shipped pixels."""
    cell, frames = grid.spec.cell, grid.spec.frames
    renderer = Renderer(scene, grid.cols * cell * 2, grid.rows * cell * 2)
    shipped = np.full((grid.rows, grid.cols, 3, cell, cell), -1e3)
    slots = []
    for index in range(length):
        times = tuple((index * frames + step) / RATE for step in range(frames))
        cells = np.stack([_cells(renderer.frame(time), grid) for time in times], axis=2)
        kept = np.abs(cells[:, :, -1] - shipped).mean(axis=(2, 3, 4)) > _CHANGED
        shipped[kept] = cells[kept][:, -1]
        kind = SlotKind.ANCHOR if kept.all() else SlotKind.DELTA
        reasons = np.full(int(kept.sum()), Reason.PIXELS, np.uint8)
        slots.append(Slot(kind, kept, cells[kept], reasons, times, times[-1]))
    return slots


def _cells(frame: NDArray[np.uint8], grid: PatchGrid) -> NDArray[np.uint8]:
    """Halve a frame and cut it into cells [rows, cols, 3, cell, cell]."""
    small = np.asarray(Image.fromarray(frame).reduce(2))
    cell = grid.spec.cell
    split = small.reshape(grid.rows, cell, grid.cols, cell, 3)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3))
