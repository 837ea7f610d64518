"""The model card: what was measured, in words and tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codecsight.world.labels.questions import WORDINGS

# Run as it stands by the tests.
EXAMPLE = Path(__file__).with_name("example.py")
# What of "yes" there must be for an F1 to mean anything.
_FEW = 8
_ENOUGH = 0.9


def model_card(told: dict[str, Any]) -> str:
    """The card for a results file."""
    scores = told["scores"]
    return _CARD.format(
        table="\n".join(_table(scores)),
        below=", ".join(_below(scores)) or "none",
        speech="\n".join(_speech(told["descriptions"])),
        footage="\n".join(_footage(told["footage"])),
        windows=", ".join(f"{count} for `{name}`" for name, count in _windows(told["curve"])),
        minutes=round(told["training_seconds"] / 60),
        example=EXAMPLE.read_text(encoding="utf-8"),
        wordings="\n".join(f"- {' · '.join(texts)}" for texts in WORDINGS.values()),
    )


def _table(scores: dict[str, Any]) -> Iterator[str]:
    yield "| question | " + " | ".join(scores) + " |"
    yield "|---|" + "---|" * len(scores)
    for topic, texts in WORDINGS.items():
        cells = (_cell(scores[name][topic]) for name in scores)
        yield f"| {texts[0]} | " + " | ".join(cells) + " |"


def _cell(score: dict[str, Any]) -> str:
    if not _telling(score):
        return "-"
    if "f1" in score:
        return f"F1 {score['f1']:.2f}"
    return f"{score['accuracy']:.2f} ({score['majority']:.2f})"


def _telling(score: dict[str, Any]) -> bool:
    """Whether enough was asked for the score to mean anything."""
    return bool(score["asked"] >= _FEW and score.get("yes", _FEW) >= _FEW)


def _below(scores: dict[str, Any]) -> Iterator[str]:
    """The questions that stay below what was aimed at in any column, worst first, and where."""
    least = {}
    for topic in WORDINGS:
        told = [
            (score.get("f1", score["accuracy"]), name)
            for name, topics in scores.items()
            if _telling(score := topics[topic])
        ]
        if told:
            least[topic] = min(told)
    for topic, (value, name) in sorted(least.items(), key=lambda pair: pair[1]):
        if value < _ENOUGH:
            yield f'"{WORDINGS[topic][0]}" ({value:.2f}, {name})'


def _speech(descriptions: dict[str, Any]) -> Iterator[str]:
    yield "| descriptions | word for word | clauses told | of those told, true | of each subject |"
    yield "|---|---|---|---|---|"
    for name, found in descriptions.items():
        subjects = ", ".join(f"{k} {v:.2f}" for k, v in found["clauses_told_by_subject"].items())
        yield (
            f"| {name} ({found['asked']}) | {found['exact']:.2f} | {found['clauses_told']:.2f} "
            f"| {found['clauses_right']:.2f} | {subjects} |"
        )


def _footage(found: dict[str, Any]) -> Iterator[str]:
    if not found:
        yield "Not measured: the clips were not at hand."
        return
    room, crossing = found["one_by_one"], found["vtest"]
    yield (
        f"- A room that six people enter one by one (Intel's `one_by_one.mp4`, {room['asked']} "
        f'windows of 4 slots): "Is there a person?" is answered rightly in {room["accuracy"]:.0%} '
        f"(always the commonest answer: {room['majority']:.0%}), F1 {room['f1']:.2f}."
    )
    yield (
        f"- A crossing with three to eight people (`vtest`, {crossing['asked']} windows): "
        f"{crossing['people_mean']:.1f} people are there in the mean, {crossing['said_mean']:.1f} "
        f"are said; {crossing['accuracy']:.0%} of the counts are right, and "
        f"{crossing['right_up_to_four']} of the {crossing['asked_up_to_four']} that are no more "
        "than four, the most it was ever taught."
    )


def _windows(curve: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many windows each stage saw."""
    return list({each["stage"]: each["samples"] for each in curve}.items())


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
six colours, smoke, fires and lamps. On real footage its answers mean little; take a real Qwen3-VL
for that.

It is a standard checkpoint, which plain transformers loads (`AutoProcessor` wants torchvision
besides; this does not):

```python
{example}```

## How to ask

A window is 1 to 8 slots of two pictures, sampled twice a second, 128x96 (6x8 cells of 16 pixels) or
144x80 (5x9). Each slot is `<T seconds><|vision_start|>...<|vision_end|>`, T being the mean time of
its pictures in seconds of the stream; then comes the question. Questions of "is" mean the last
slot, those of "did" the whole window. It was taught these wordings, and no others:

{wordings}

Colours are red, green, blue, yellow, white and black; counts go to 4. A bag was "left behind" when
it lies there with nobody near it. The scene "changed" when a lamp was switched, whoever comes and
goes. Left and right are the halves of the picture. A description tells people, cars, bags, smoke
and fire in this order, a single person or car with colour and motion: "one person in red walking
left, two cars, a bag, smoke"; "nothing" where there is nothing of these.

## How it was trained

`python -m training train FOLDER`, about {minutes} minutes of training on one CPU core, while
another drew the windows (`training/results/default.json` has the curve). Four stages over endless
random windows ({windows}): first the vision tower alone learns what each cell holds, then
everything learns to answer on single slots, then on windows of 1 to 8 slots, and again on such,
most of them short, with an eye to which way things move. No
pruning, no codec: the pictures were rendered at twice the size, averaged, half of them passed
through JPEG. What is rare is drawn and asked for more often than it happens. One run from nothing,
one seed, stopped and resumed on the way; the fourth stage was added when the first three had been
measured. Families `yard`, `street`, `hall` and `night` were trained on; `plaza` and `garage` never:
other layouts and textures, with the same sprites, and with light and noise like those of the
others. The world's condition `unfamiliar` draws people, cars and bags in shapes, light and noise
that training had nothing of, too. In the run that made these weights the last two stages ended by
the clock, by which the learning rate fell, too; since then the recipe counts windows, about as
many, whatever the machine. So another run from the same seed learns from the same windows at the
same rates, but need not give the same weights.

## What it can do

On windows never seen: F1 of "yes", or accuracy (in brackets that of the commonest answer); "-"
where too few can be asked. "New seeds" are other scenes of the trained families, "new families" are
of places it never saw, "and styles" of things drawn otherwise, too, "through H.264" was filmed at
640x480, encoded, decoded and scaled down, as the product does. How many questions stand behind each
number is in the results file, next to plain accuracies; `python -m training measure CHECKPOINT
RESULTS` measures all of it again. Windows are drawn from eventful moments of eventful scenes,
except the filmed ones; questions where people could disagree (somebody half hidden) are not asked.
Descriptions count as right word for word here.

{table}

Below 0.90 in some column, and not to be relied on even in its own world, each with its worst:
{below}.

Descriptions, decoded freely; "of each subject" is the share of true clauses told:

{speech}

## Real footage

Out of its world; measured, not promised.

{footage}

## Limits

Only the procedural world, only these questions, only about four people. It says nothing of
animals, faces, or what people do beyond the above. Wordings it does not know get confident
nonsense.
"""
