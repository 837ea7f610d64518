"""What a checkpoint can do, measured on windows it never saw, and said in its model card."""

from collections.abc import Sequence
from typing import Any

from codecsight.models.prompt import PromptLayout
from codecsight.world import HELD_OUT, TRAINING, Kind
from codecsight.world.questions import WORDINGS
from training.clips import Clip
from training.evaluate import Score, held_out, scores
from training.film import filmed
from training.network import Learner
from training.recipe import HELD_OUT_SEEDS, STAGES

WIDE, USUAL = (5, 9), (6, 8)
_FILMED_SECONDS, _CAMERAS = 40, 4
Results = dict[str, dict[str, dict[str, Any]]]


def measure(learner: Learner, layout: PromptLayout, count: int) -> Results:
    """Scores by condition and topic, on `count` windows for each condition."""
    told: Results = {}

    def note(name: str, clips: Sequence[Clip], grid: tuple[int, int] = USUAL) -> None:
        found = scores(learner, layout, clips, grid)
        told[name] = {topic: found.get(topic, Score()).summary() for topic in WORDINGS}

    usual = held_out(count, 4, USUAL)
    note("new seeds, 4 slots", usual)
    note("new seeds, 1 slot", held_out(count, 1, USUAL))
    note("new seeds, 8 slots", held_out(count, 8, USUAL))
    note("new seeds, 4 slots, 16:9", held_out(count, 4, WIDE), WIDE)
    note("new seeds, 4 slots, someone stands", [clip for clip in usual if _stands(clip)])
    note("new families, 4 slots", held_out(count, 4, USUAL, HELD_OUT))
    note("new families, 8 slots", held_out(count, 8, USUAL, HELD_OUT))
    note("new seeds, 4 slots, through H.264", _filmed(TRAINING))
    note("new families, 4 slots, through H.264", _filmed(HELD_OUT))
    return told


def _stands(clip: Clip) -> bool:
    """Whether a person in plain sight stood still through the whole window."""
    still = [
        {seen.identity for seen in moment.clear(Kind.PERSON) if seen.velocity == (0.0, 0.0)}
        for moment in clip.window
    ]
    return bool(set.intersection(*still))


def _filmed(families: Sequence[str]) -> list[Clip]:
    first = HELD_OUT_SEEDS.start
    return [
        clip
        for family in families
        for seed in range(first, first + _CAMERAS)
        for clip in filmed(family, seed, _FILMED_SECONDS, 4, USUAL)
    ]


def card(results: Results, seconds: float) -> str:
    """The model card."""
    shown = [name for name in results if "1 slot" not in name]
    head = "| question | " + " | ".join(shown) + " |\n|---|" + "---|" * len(shown)
    rows = [
        f"| {texts[0]} | " + " | ".join(_cell(results[name][topic]) for name in shown) + " |"
        for topic, texts in WORDINGS.items()
    ]
    windows = ", ".join(f"{stage.samples} for `{stage.name}`" for stage in STAGES)
    wordings = "\n".join(f"- {' · '.join(texts)}" for texts in WORDINGS.values())
    table = "\n".join([head, *rows])
    return _CARD.format(
        table=table, windows=windows, minutes=round(seconds / 60), wordings=wordings
    )


def _cell(score: dict[str, Any]) -> str:
    if not score["asked"]:
        return "-"
    if "f1" in score:
        return f"F1 {score['f1']:.2f}"
    return f"{score['accuracy']:.2f} ({score['majority']:.2f})"


_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: video-text-to-text
tags: [qwen3_vl, surveillance, synthetic]
---
# CodecSight's default model

A Qwen3-VL of 3.6 million parameters, trained from nothing on procedural CCTV
(`codecsight/world`). It lets CodecSight run, be tested and be measured on a laptop, without a
download and without a GPU. **It knows nothing but that world**: stylised people, cars and bags in
six colours. On real footage its answers mean little; take a real Qwen3-VL for that.

It is a standard checkpoint: `Qwen3VLForConditionalGeneration.from_pretrained(FOLDER)`.

## How to ask

A window is 1 to 8 slots of two pictures, sampled twice a second, 128x96 (6x8 cells of 16 pixels) or
144x80 (5x9). Each slot is `<T seconds><|vision_start|>...<|vision_end|>`, T being the mean time of
its pictures in seconds of the stream; then comes the question. Questions of "is" mean the last
slot, those of "did" the whole window. It was taught these wordings, and no others:

{wordings}

Colours are red, green, blue, yellow, white and black; counts go to 4.

## How it was trained

`python -m training train FOLDER`, about {minutes} minutes of training on two shared CPU cores
(`training/results/default.json` has the curve). Three stages over endless random windows
({windows}): first the vision tower alone
learns what each cell holds, then everything learns to answer on single slots, then on windows of 1
to 8 slots. No pruning, no codec: the pictures were rendered at twice the size, averaged, half of
them passed through JPEG. The length of the last stage and its mix of window lengths were settled
while it ran, so a fresh run gives a model equal in kind, not in every bit. One run, one seed.
Families `yard`, `street`, `hall` and `night` were trained on; `plaza` and `garage` never.

## What it can do

On windows never seen: F1 of "yes", or accuracy (in brackets that of the commonest answer).
"New seeds" are other scenes of the trained families, "new families" are of places it never saw,
"through H.264" was filmed at 640x480, encoded, decoded and scaled down, as the product does.
How many questions stand behind each number is in the results file, next to plain accuracies.
Windows are drawn from eventful moments, except the filmed ones; questions where people could
disagree (somebody half hidden) are not asked.

{table}

## Limits

Only the procedural world, only these questions, only about four people. It says nothing of
smoke, animals, faces, or what people do. Wordings it does not know get confident nonsense.
"""
