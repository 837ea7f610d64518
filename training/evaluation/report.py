"""What a checkpoint can do, measured on windows it never saw."""

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

WIDE, USUAL = (5, 9), (6, 8)
_FILMED_SECONDS, _CAMERAS = 40, 4
Results = dict[str, dict[str, Any]]


def measure_answers(learner: Learner, layout: PromptLayout, count: int) -> Results:
    """Scores by condition and topic, on `count` windows for each condition."""
    told: Results = {}

    def note(name: str, clips: Sequence[Clip], grid: tuple[int, int] = USUAL) -> None:
        found = score_clips(learner, layout, clips, grid)
        told[name] = {topic: found.get(topic, Score()).summary() for topic in WORDINGS}

    usual = held_out_clips(count, 4, USUAL)
    note("new seeds, 1 slot", held_out_clips(count, 1, USUAL))
    note("new seeds, 4 slots", usual)
    note("new seeds, 8 slots", held_out_clips(count, 8, USUAL))
    note("new seeds, 4 slots, 16:9", held_out_clips(count, 4, WIDE), WIDE)
    note("new seeds, 4 slots, someone stands", [clip for clip in usual if _stands(clip)])
    note("new families, 1 slot", held_out_clips(count, 1, USUAL, HELD_OUT_FAMILIES))
    note("new families, 4 slots", held_out_clips(count, 4, USUAL, HELD_OUT_FAMILIES))
    note("new families, 8 slots", held_out_clips(count, 8, USUAL, HELD_OUT_FAMILIES))
    note("new seeds, 4 slots, through H.264", _filmed(TRAINING_FAMILIES))
    note("new families, 4 slots, through H.264", _filmed(HELD_OUT_FAMILIES))
    note(
        "new families and styles, 4 slots, through H.264", _filmed(HELD_OUT_FAMILIES, "unfamiliar")
    )
    return told


def measure_descriptions(model: VisionLanguageModel, count: int) -> Results:
    """How scenes are described, on `count` windows for each condition."""
    places = {"new seeds": TRAINING_FAMILIES, "new families": HELD_OUT_FAMILIES}
    return {
        f"{name}, {slots} slots": score_descriptions(
            model, held_out_clips(count, slots, USUAL, families)
        )
        for name, families in places.items()
        for slots in (4, 8)
    }


def _stands(clip: Clip) -> bool:
    """Whether a person in plain sight stood still through the whole window."""
    still = [
        {
            seen.identity
            for seen in moment.clearly_visible(ActorKind.PERSON)
            if seen.velocity == (0.0, 0.0)
        }
        for moment in clip.window
    ]
    return bool(set.intersection(*still))


def _filmed(families: Sequence[str], condition: str | None = None) -> list[Clip]:
    first = HELD_OUT_SEEDS.start
    return [
        clip
        for family in families
        for seed in range(first, first + _CAMERAS)
        for clip in filmed_clips(family, seed, _FILMED_SECONDS, 4, USUAL, condition)
    ]
