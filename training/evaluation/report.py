"""Measurements of a checkpoint on windows that training did not use."""

from collections.abc import Sequence
from typing import Any

from codecsight.models.base import VisionLanguageModel
from codecsight.models.prompt import PromptLayout
from codecsight.world import HELD_OUT_FAMILIES, TRAINING_FAMILIES, ActorKind
from codecsight.world.labels.questions import WORDINGS
from training.data.clips import Clip
from training.data.film import filmed_clips
from training.evaluation.descriptions import score_descriptions
from training.evaluation.scoring import Score, held_out_clips, score_clips
from training.network import Learner
from training.recipe import HELD_OUT_SEEDS

WIDE_GRID, DEFAULT_GRID = (5, 9), (6, 8)
_FILMED_SECONDS, _CAMERAS = 40, 4
Results = dict[str, dict[str, Any]]


def measure_answers(learner: Learner, layout: PromptLayout, count: int) -> Results:
    """Scores by test set and topic, on `count` windows per test set."""
    results: Results = {}

    def measure(name: str, clips: Sequence[Clip], grid: tuple[int, int] = DEFAULT_GRID) -> None:
        scores = score_clips(learner, layout, clips, grid)
        results[name] = {topic: scores.get(topic, Score()).summary() for topic in WORDINGS}

    four_slots = held_out_clips(count, 4, DEFAULT_GRID)
    measure("new seeds, 1 slot", held_out_clips(count, 1, DEFAULT_GRID))
    measure("new seeds, 4 slots", four_slots)
    measure("new seeds, 8 slots", held_out_clips(count, 8, DEFAULT_GRID))
    measure("new seeds, 4 slots, 16:9", held_out_clips(count, 4, WIDE_GRID), WIDE_GRID)
    standing = [clip for clip in four_slots if _has_standing_person(clip)]
    measure("new seeds, 4 slots, person standing still", standing)
    measure("new families, 1 slot", held_out_clips(count, 1, DEFAULT_GRID, HELD_OUT_FAMILIES))
    measure("new families, 4 slots", held_out_clips(count, 4, DEFAULT_GRID, HELD_OUT_FAMILIES))
    measure("new families, 8 slots", held_out_clips(count, 8, DEFAULT_GRID, HELD_OUT_FAMILIES))
    measure("new seeds, 4 slots, through H.264", _filmed(TRAINING_FAMILIES))
    measure("new families, 4 slots, through H.264", _filmed(HELD_OUT_FAMILIES))
    measure(
        "new families and styles, 4 slots, through H.264", _filmed(HELD_OUT_FAMILIES, "unfamiliar")
    )
    return results


def measure_descriptions(model: VisionLanguageModel, count: int) -> Results:
    """Scores of free descriptions by test set, on `count` windows per test set."""
    families = {"new seeds": TRAINING_FAMILIES, "new families": HELD_OUT_FAMILIES}
    return {
        f"{name}, {slots} slots": score_descriptions(
            model, held_out_clips(count, slots, DEFAULT_GRID, names)
        )
        for name, names in families.items()
        for slots in (4, 8)
    }


def _has_standing_person(clip: Clip) -> bool:
    """Whether a clearly visible person stands still during the whole window."""
    standing = [
        {
            person.identity
            for person in sample.clearly_visible(ActorKind.PERSON)
            if person.velocity == (0.0, 0.0)
        }
        for sample in clip.window
    ]
    return bool(set.intersection(*standing))


def _filmed(families: Sequence[str], condition: str | None = None) -> list[Clip]:
    first = HELD_OUT_SEEDS.start
    return [
        clip
        for family in families
        for seed in range(first, first + _CAMERAS)
        for clip in filmed_clips(family, seed, _FILMED_SECONDS, 4, DEFAULT_GRID, condition)
    ]
