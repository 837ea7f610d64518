"""How sure a checkpoint may be: one temperature per kind of question, fitted on validation scenes.

What is fitted is what is used: filmed scenes go through encoder, tracker and engine as in the
product. Guo et al., "On Calibration of Modern Neural Networks" (2017), is the source of the method
(a single temperature that minimises the negative log-likelihood) and of the measure (the expected
calibration error over bins of equal width).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codecsight.camera import CameraPipeline
from codecsight.core.slot import ANCHOR_EVERY
from codecsight.engine import Engine, EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.models.calibration import Calibration
from codecsight.video.capture.source import SourceOptions
from codecsight.world import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from codecsight.world.labels.questions import label_questions
from codecsight.world.source import WorldCamera, WorldSource
from training.recipe import HELD_OUT_SEEDS, RATE

FIT_SEEDS = range(HELD_OUT_SEEDS.start + 5000, HELD_OUT_SEEDS.start + 5005)
CHECK_SEEDS = range(HELD_OUT_SEEDS.start + 6000, HELD_OUT_SEEDS.start + 6003)
"""Scenes that neither training nor any test nor the other of the two has seen."""
SECONDS, BINS, MAX_CELLS = 24, 15, 48
_TEMPERATURES = np.geomspace(0.2, 10, 200)


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """The options' `scores` for one question, and which of them would have been `right`."""

    kind: str
    scores: tuple[float, ...]
    right: int


def fit_calibration(model: VisionLanguageModel) -> tuple[Calibration, dict[str, Any]]:
    """The temperatures for a model, and how well they do on scenes they were not fitted on."""
    fitted = _by_kind(collect_answers(model, TRAINING_FAMILIES, FIT_SEEDS))
    found = {kind: fit_temperature(heard) for kind, heard in fitted.items()}
    calibration = Calibration(temperatures={k: round(t, 3) for k, t in found.items()})
    told: dict[str, Any] = {"temperatures": calibration.temperatures}
    for name, families in (("new seeds", TRAINING_FAMILIES), ("new families", HELD_OUT_FAMILIES)):
        checked = _by_kind(collect_answers(model, families, CHECK_SEEDS))
        told[name] = {kind: _told(heard, calibration.of(kind)) for kind, heard in checked.items()}
    return calibration, told


def collect_answers(
    model: VisionLanguageModel,
    families: Sequence[str],
    seeds: Sequence[int],
    seconds: int = SECONDS,
) -> Iterator[ScoredAnswer]:
    """Everything that can fairly be asked of these cameras each time a window has moved."""
    for family in families:
        for seed in seeds:
            url = f"world://{family}?seed={seed}&seconds={seconds}&fps=4"
            yield from _camera(model, WorldCamera.parse(url))


def _camera(model: VisionLanguageModel, world: WorldCamera) -> Iterator[ScoredAnswer]:
    engine, scene = Engine(model, EngineConfig(kv_blocks=64)), world.scene
    camera = CameraPipeline(model.grid_spec(RATE, MAX_CELLS), "tracked", ANCHOR_EVERY)
    source = WorldSource(world, SourceOptions())
    slots = [slot for item in source.items() for slot in camera.feed(item)] + camera.flush()
    assert camera.tracker is not None  # noqa: S101 - it has seen pictures
    engine.open("camera", camera.tracker.grid)
    for slot in slots:
        if not engine.push("camera", slot).moved:
            continue
        session = engine._sessions["camera"]
        times = [time for entry in session.window.entries for time in entry.times]
        asked = [each for each in label_questions(scene, times) if each.question.options]
        engine.submit_questions("camera", [each.question for each in asked])
        question_batch = session.jobs[-1].question_batch
        assert question_batch is not None  # noqa: S101 - it was just asked
        while engine.busy:
            engine.step()
        for index, each in enumerate(asked):
            right = each.question.options.index(each.answer)
            yield ScoredAnswer(each.question.kind.value, question_batch.scored[index].scores, right)


def fit_temperature(heard: Sequence[ScoredAnswer]) -> float:
    """The temperature under which the right answers are likeliest."""
    scores, right = _arrays(heard)
    everyone = np.arange(len(heard))
    likely = [_log_chances(scores, t)[everyone, right].mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmax(likely))])


def expected_calibration_error(heard: Sequence[ScoredAnswer], temperature: float) -> float:
    """The expected calibration error: by how much confidence and accuracy differ in a bin of
    confidence, on average over the answers.
    """
    scores, right = _arrays(heard)
    sure = np.exp(_log_chances(scores, temperature).max(axis=1))
    hits = scores.argmax(axis=1) == right
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(np.sum(hits[bins == b]) - np.sum(sure[bins == b])) for b in range(BINS)]
    return float(sum(gaps) / len(heard))


def _arrays(heard: Sequence[ScoredAnswer]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores [answers, options], padded by -inf, and the right options [answers]."""
    most = max(len(each.scores) for each in heard)
    padded = [[*each.scores, *[-np.inf] * (most - len(each.scores))] for each in heard]
    return np.array(padded), np.array([each.right for each in heard])


def _log_chances(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Log-probabilities [answers, options]."""
    scaled = scores / temperature
    chances: NDArray[np.float64] = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return chances


def _by_kind(heard: Iterator[ScoredAnswer]) -> dict[str, list[ScoredAnswer]]:
    found: dict[str, list[ScoredAnswer]] = defaultdict(list)
    for each in heard:
        found[each.kind].append(each)
    return dict(sorted(found.items()))


def _told(heard: Sequence[ScoredAnswer], temperature: float) -> dict[str, Any]:
    right = sum(int(np.argmax(each.scores)) == each.right for each in heard)
    return {
        "answers": len(heard),
        "accuracy": round(right / len(heard), 4),
        "error_before": round(expected_calibration_error(heard, 1.0), 4),
        "error_after": round(expected_calibration_error(heard, temperature), 4),
    }


def with_calibration_section(card: str, told: dict[str, Any]) -> str:
    """The model card with what was found out about its sureness, instead of what it said before."""
    before, _, rest = card.partition(_HEADING)
    after = rest[rest.index("\n## ") + 1 :] if "\n## " in rest else ""
    if not rest:
        before, mark, after = card.partition("## Limits")
        after = mark + after
    rows = [
        f"| {kind} | {told['temperatures'].get(kind, 1.0):.2f} | {each['answers']} | {where} | "
        f"{each['accuracy']:.2f} | {each['error_before']:.3f} | {each['error_after']:.3f} |"
        for where in ("new seeds", "new families")
        for kind, each in told[where].items()
    ]
    return before + _HEADING + _SECTION.format(rows="\n".join(rows)) + "\n" + after


_HEADING = "## How sure it is"
_SECTION = """

Probabilities are divided out by one temperature per kind of question (`calibration.json`, which
CodecSight reads; plain transformers does not), fitted by `python -m training calibrate FOLDER` on
filmed scenes that neither training nor tests saw. Expected calibration error, 15 bins, on others:

| kind | temperature | answers | scenes | accuracy | error before | error after |
|---|---|---|---|---|---|---|
{rows}
"""
