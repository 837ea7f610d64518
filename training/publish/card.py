"""Model card of the default checkpoint, generated from the results files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codecsight.world.labels.questions import WORDINGS

# Included in the card; the tests run it unchanged.
EXAMPLE = Path(__file__).with_name("example.py")
# Fewer questions, or fewer true "yes" answers, are too few for a score.
_MIN_QUESTIONS = 8
_MIN_SCORE = 0.9  # lower scores are listed as unreliable


def model_card(results: dict[str, Any]) -> str:
    """The card for the content of a results file."""
    scores = results["scores"]
    return _CARD.format(
        table="\n".join(_table(scores)),
        unreliable="\n".join(_unreliable(scores)) or "None.",
        descriptions="\n".join(_descriptions(results["descriptions"])),
        footage="\n".join(_footage(results["footage"])),
        windows=", ".join(f"{count} for `{name}`" for name, count in _windows(results["curve"])),
        minutes=round(results["training_seconds"] / 60),
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
    if not _sufficient(score):
        return "-"
    if "f1" in score:
        return f"F1 {score['f1']:.2f}"
    return f"{score['accuracy']:.2f} ({score['majority']:.2f})"


def _sufficient(score: dict[str, Any]) -> bool:
    """Whether there are enough questions for a score."""
    return bool(
        score["questions"] >= _MIN_QUESTIONS
        and score.get("positives", _MIN_QUESTIONS) >= _MIN_QUESTIONS
    )


def _unreliable(scores: dict[str, Any]) -> Iterator[str]:
    """Topics with a score below `_MIN_SCORE` on any test set, with the lowest one, worst first."""
    lowest = {}
    for topic in WORDINGS:
        values = [
            (score.get("f1", score["accuracy"]), name)
            for name, topics in scores.items()
            if _sufficient(score := topics[topic])
        ]
        if values:
            lowest[topic] = min(values)
    for topic, (value, name) in sorted(lowest.items(), key=lambda pair: pair[1]):
        if value < _MIN_SCORE:
            yield f'- "{WORDINGS[topic][0]}": {value:.2f} ({name})'


def _descriptions(scores: dict[str, Any]) -> Iterator[str]:
    yield "| descriptions | exact match | clause recall | clause precision | recall by subject |"
    yield "|---|---|---|---|---|"
    for name, score in scores.items():
        subjects = ", ".join(f"{k} {v:.2f}" for k, v in score["clause_recall_by_subject"].items())
        yield (
            f"| {name} ({score['descriptions']}) | {score['exact_match']:.2f} | "
            f"{score['clause_recall']:.2f} | {score['clause_precision']:.2f} | {subjects} |"
        )


def _footage(scores: dict[str, Any]) -> Iterator[str]:
    if not scores:
        yield "Not measured: the recordings were not available."
        return
    room, crossing = scores["one_by_one"], scores["vtest"]
    yield (
        f"- A room that six people enter one by one (Intel's `one_by_one.mp4`, {room['questions']} "
        f'windows of 4 slots): accuracy of "Is there a person?" {room["accuracy"]:.0%} '
        f"(majority baseline {room['majority']:.0%}), F1 {room['f1']:.2f}."
    )
    yield (
        f"- A crossing with three to eight people (`vtest`, {crossing['questions']} windows): "
        f"{crossing['people_mean']:.1f} people on average, {crossing['predicted_mean']:.1f} "
        f"predicted. {crossing['accuracy']:.0%} of the counts are correct, and "
        f"{crossing['correct_up_to_four']} of the {crossing['questions_up_to_four']} that are at "
        "most four, the highest count in the training data."
    )


def _windows(curve: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Number of windows of each stage."""
    return list({each["stage"]: each["samples"] for each in curve}.items())


_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: video-text-to-text
tags: [qwen3_vl, surveillance, synthetic]
---
# CodecSight's default model

A Qwen3-VL with 3.6 million parameters, trained from scratch on procedural CCTV
(`codecsight/world`). With it CodecSight runs, is tested and is measured on a laptop, without a
download and without a GPU. **It works only on that world**: stylised people, cars and bags in six
colours, smoke, fires and lamps. Its answers on real footage are not meaningful; use a full-size
Qwen3-VL for that.

It is a standard checkpoint that plain transformers loads (`AutoProcessor` also needs torchvision;
this example does not):

```python
{example}```

## Prompts

A window has 1 to 8 slots of two pictures, sampled twice per second, of 128x96 pixels (6x8 cells of
16 pixels) or 144x80 (5x9 cells). Each slot is `<T seconds><|vision_start|>...<|vision_end|>`, where
T is the mean time of its pictures in seconds of the stream. The question follows the slots.
Questions with "is" refer to the last slot, those with "did" to the whole window. The model was
trained on these wordings only:

{wordings}

Colours are red, green, blue, yellow, white and black. Counts go up to 4. A bag was "left behind" if
it lies on the ground with no person near it. The scene "changed" if a lamp was switched; people and
cars that come or go do not count. Left and right are the halves of the picture. A description
lists people, cars, bags, smoke and fire in this order, a single person or car with colour and
motion: "one person in red walking left, two cars, a bag, smoke". It is "nothing" if there are none.

## Training

`python -m training train FOLDER` took about {minutes} minutes on one CPU core, while another core
generated the windows (learning curve: `training/results/default.json`). There are four stages over
an endless supply of random windows ({windows}):

1. the vision tower alone learns the content of each cell;
2. all weights learn to answer on single slots;
3. then on windows of 1 to 8 slots;
4. then on mostly short windows, with more questions about directions of motion.

Training uses neither pruning nor a codec: pictures were rendered at twice the size and averaged,
and half of them were compressed as JPEG. Rare events are oversampled, both in the scenes and in the
questions. This was one run with one seed, stopped and resumed in between; the fourth stage was
added after the first three had been measured.

Training used the families `yard`, `street`, `hall` and `night`. `plaza` and `garage` are held out:
they have other layouts and textures, but the same sprites, and a similar range of light and noise.
The world's condition `unfamiliar` also has shapes of people, cars and bags, light and noise that
the training data does not have. In the run of these weights the last two stages, and with them the
learning rate schedule, ended by time. The recipe now counts windows (about the same number), so it
does not depend on the machine. Another run with the same seed uses the same windows and learning
rates, but need not give identical weights.

## Accuracy

On windows that training did not use: F1 of "yes", or accuracy with the majority baseline in
brackets; "-" where there are too few questions. "New seeds" are other scenes of the training
families, "new families" are the held-out ones, "and styles" adds other shapes, light and noise.
"Through H.264" means recorded at 640x480, encoded, decoded and scaled down as in production. The
results file has the number of questions behind each figure and plain accuracies.
`python -m training measure CHECKPOINT RESULTS` repeats all measurements. Windows are taken from
eventful moments of eventful scenes, except those through H.264. Ambiguous questions (a person half
hidden) are not asked. Descriptions count as correct only on an exact match.

{table}

Questions with a score below 0.90 on some test set are unreliable even in this world. Each with its
lowest score:

{unreliable}

Free descriptions. A clause is one part between commas; recall is the share of true clauses in the
description, precision the share of its clauses that are true:

{descriptions}

## Real footage

Outside the training domain; measured for information only.

{footage}

## Limits

Procedural world only, these questions only, up to about four people only. The model has no
training data on animals, faces, or activities beyond those above. It answers unknown wordings
confidently and wrongly.
"""
