"""Quality of a checkpoint's free descriptions, decoded by the reference engine."""

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

# Subject of a clause, by the words that name it.
_SUBJECTS = {
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
    """Exact match, and precision and recall of clauses, over all windows with a true description.

    Recall is given by subject, too.
    """
    pairs = [
        (true, generate_description(model, clip))
        for clip in clips
        for true in _true_description(clip)
    ]
    expected, predicted, correct = (Counter[str]() for _ in range(3))
    for texts in pairs:
        true, given = (Counter(text.split(", ")) for text in texts)
        for clauses, totals in ((true, expected), (given, predicted), (true & given, correct)):
            for clause, count in clauses.items():
                totals[clause_subject(clause)] += count
    return {
        "descriptions": len(pairs),
        "exact_match": _share(sum(true == given for true, given in pairs), len(pairs)),
        "clause_recall": _share(correct.total(), expected.total()),
        "clause_precision": _share(correct.total(), predicted.total()),
        "clause_recall_by_subject": {
            subject: _share(correct[subject], expected[subject]) for subject in sorted(expected)
        },
    }


def generate_description(model: VisionLanguageModel, clip: Clip) -> str:
    """The model's description of a window of dense slots."""
    rows, cols = (side // model.cell for side in clip.frames.shape[1:3])
    grid = PatchGrid(model.grid_spec(RATE, rows * cols), rows, cols)
    engine = NaiveEngine(model, EngineConfig(window=clip.slots))
    engine.open("", grid)
    for slot in _slots(clip, rows, cols):
        engine.push("", slot)
    return str(engine.ask("", topic_question("describe")).value)


def clause_subject(clause: str) -> str:
    """The subject of a clause; "other" if unknown."""
    return next((_SUBJECTS[word] for word in clause.split() if word in _SUBJECTS), "other")


def _true_description(clip: Clip) -> Iterator[str]:
    """The true description, if the window has an unambiguous one."""
    yield from (item.answer for item in label_window(clip.window) if item.topic == "describe")


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
