"""How well a checkpoint describes a scene in words of its own, through the product's own engine."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.engine import EngineConfig
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.base import VisionLanguageModel
from codecsight.world.labels.questions import label_window, topic_question
from training.data.clips import Clip
from training.data.packing import cut_cells
from training.recipe import FRAMES, RATE

# What a clause is about, by the words that may name it.
_ABOUT = {
    "person": "people",
    "people": "people",
    "car": "cars",
    "cars": "cars",
    "bag": "bags",
    "bags": "bags",
    "smoke": "smoke",
    "fire": "fire",
    "nothing": "nothing",
}


def score_descriptions(model: VisionLanguageModel, clips: Sequence[Clip]) -> dict[str, Any]:
    """Descriptions of the windows that can be described, decoded freely: the share that is right
    word for word; of all true clauses the share that was told, of the told ones that which was
    true; and the first of these by what they are about.
    """
    said = [
        (true, generate_description(model, clip)) for clip in clips for true in _description(clip)
    ]
    due, told, hit = (Counter[str]() for _ in "dth")
    for true, given in said:
        clauses, spoken = (Counter(text.split(", ")) for text in (true, given))
        for found, counted in ((clauses, due), (spoken, told), (clauses & spoken, hit)):
            for clause, times in found.items():
                counted[clause_subject(clause)] += times
    return {
        "asked": len(said),
        "exact": _share(sum(true == given for true, given in said), len(said)),
        "clauses_told": _share(hit.total(), due.total()),
        "clauses_right": _share(hit.total(), told.total()),
        "clauses_told_by_subject": {key: _share(hit[key], due[key]) for key in sorted(due)},
    }


def generate_description(model: VisionLanguageModel, clip: Clip) -> str:
    """What the model says of a window, dense."""
    rows, cols = (side // model.cell for side in clip.frames.shape[1:3])
    grid = PatchGrid(model.grid_spec(RATE, rows * cols), rows, cols)
    engine = NaiveEngine(model, EngineConfig(window=clip.slots))
    engine.open("", grid)
    for slot in _slots(clip, rows, cols):
        engine.push("", slot)
    return str(engine.ask("", topic_question("describe")).value)


def clause_subject(clause: str) -> str:
    """The subject of a clause, "other" for what has none."""
    return next((_ABOUT[word] for word in clause.split() if word in _ABOUT), "other")


def _description(clip: Clip) -> Iterator[str]:
    yield from (asked.answer for asked in label_window(clip.window) if asked.topic == "describe")


def _slots(clip: Clip, rows: int, cols: int) -> Iterator[Slot]:
    cells = rows * cols
    patches = cut_cells(clip.frames.reshape(clip.slots, FRAMES, *clip.frames.shape[1:]))
    for number in range(clip.slots):
        times = clip.times[number * FRAMES : (number + 1) * FRAMES]
        yield Slot(
            kind=SlotKind.ANCHOR,
            kept=np.ones((rows, cols), np.bool_),
            patches=patches[number * cells : (number + 1) * cells],
            reasons=np.full(cells, Reason.ANCHOR, np.uint8),
            times=times,
            capture_time=times[-1],
        )


def _share(part: int, whole: int) -> float:
    return round(part / max(1, whole), 4)
