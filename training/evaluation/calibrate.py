"""Confidence calibration: one temperature per question kind, fitted on validation scenes.

The scenes go through encoder, change tracker and engine as in production. The method (a single
temperature that minimises the negative log-likelihood) and the measure (expected calibration error
over bins of equal width) are from Guo et al., "On Calibration of Modern Neural Networks" (2017).
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
"""Seeds that training and tests do not use; disjoint."""
SECONDS, BINS, MAX_CELLS = 24, 15, 48
_TEMPERATURES = np.geomspace(0.2, 10, 200)


@dataclass(frozen=True, slots=True)
class CalibrationSample:
    """Scores of one question's options, and the index of the correct one."""

    kind: str
    scores: tuple[float, ...]
    correct: int


def fit_calibration(model: VisionLanguageModel) -> tuple[Calibration, dict[str, Any]]:
    """The temperatures of a model, and the calibration errors on other scenes."""
    fitting = _by_kind(collect_answers(model, TRAINING_FAMILIES, FIT_SEEDS))
    temperatures = {kind: round(fit_temperature(each), 3) for kind, each in fitting.items()}
    calibration = Calibration(temperatures=temperatures)
    measured: dict[str, Any] = {"temperatures": calibration.temperatures}
    for name, families in (("new seeds", TRAINING_FAMILIES), ("new families", HELD_OUT_FAMILIES)):
        checked = _by_kind(collect_answers(model, families, CHECK_SEEDS))
        measured[name] = {
            kind: _errors(each, calibration.of(kind)) for kind, each in checked.items()
        }
    return calibration, measured


def collect_answers(
    model: VisionLanguageModel,
    families: Sequence[str],
    seeds: Sequence[int],
    seconds: int = SECONDS,
) -> Iterator[CalibrationSample]:
    """Answers to all unambiguous questions of these cameras, each time the window moved."""
    for family in families:
        for seed in seeds:
            url = f"world://{family}?seed={seed}&seconds={seconds}&fps=4"
            yield from _camera_answers(model, WorldCamera.parse(url))


def _camera_answers(model: VisionLanguageModel, world: WorldCamera) -> Iterator[CalibrationSample]:
    engine, scene = Engine(model, EngineConfig(kv_blocks=64)), world.scene
    camera = CameraPipeline(model.grid_spec(RATE, MAX_CELLS), "tracked", ANCHOR_EVERY)
    source = WorldSource(world, SourceOptions())
    slots = [slot for item in source.items() for slot in camera.feed(item)] + camera.flush()
    assert camera.tracker is not None  # noqa: S101 - set by the first frame
    engine.open("camera", camera.tracker.grid)
    for slot in slots:
        if not engine.push("camera", slot).stride_complete:
            continue
        session = engine._sessions["camera"]
        times = [time for entry in session.window.entries for time in entry.times]
        items = [item for item in label_questions(scene, times) if item.question.options]
        engine.submit_questions("camera", [item.question for item in items])
        question_batch = session.jobs[-1].question_batch
        assert question_batch is not None  # noqa: S101 - just submitted
        while engine.busy:
            engine.step()
        for index, item in enumerate(items):
            correct = item.question.options.index(item.answer)
            scores = question_batch.scored[index].scores
            yield CalibrationSample(item.question.kind.value, scores, correct)


def fit_temperature(answers: Sequence[CalibrationSample]) -> float:
    """The temperature that maximises the likelihood of the correct answers."""
    scores, correct = _arrays(answers)
    rows = np.arange(len(answers))
    likelihoods = [_log_softmax(scores, t)[rows, correct].mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmax(likelihoods))])


def expected_calibration_error(answers: Sequence[CalibrationSample], temperature: float) -> float:
    """Expected calibration error: mean difference of confidence and accuracy over the bins."""
    scores, correct = _arrays(answers)
    confidence = np.exp(_log_softmax(scores, temperature).max(axis=1))
    hits = scores.argmax(axis=1) == correct
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(np.sum(hits[bins == b]) - np.sum(confidence[bins == b])) for b in range(BINS)]
    return float(sum(gaps) / len(answers))


def _arrays(answers: Sequence[CalibrationSample]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores [answers, options], padded with -inf, and the correct options [answers]."""
    width = max(len(each.scores) for each in answers)
    padded = [[*each.scores, *[-np.inf] * (width - len(each.scores))] for each in answers]
    return np.array(padded), np.array([each.correct for each in answers])


def _log_softmax(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Log-probabilities [answers, options]."""
    scaled = scores / temperature
    log_probabilities: NDArray[np.float64] = scaled - np.logaddexp.reduce(
        scaled, axis=1, keepdims=True
    )
    return log_probabilities


def _by_kind(answers: Iterator[CalibrationSample]) -> dict[str, list[CalibrationSample]]:
    groups: dict[str, list[CalibrationSample]] = defaultdict(list)
    for each in answers:
        groups[each.kind].append(each)
    return dict(sorted(groups.items()))


def _errors(answers: Sequence[CalibrationSample], temperature: float) -> dict[str, Any]:
    correct = sum(int(np.argmax(each.scores)) == each.correct for each in answers)
    return {
        "answers": len(answers),
        "accuracy": round(correct / len(answers), 4),
        "ece_before": round(expected_calibration_error(answers, 1.0), 4),
        "ece_after": round(expected_calibration_error(answers, temperature), 4),
    }


def with_calibration_section(card: str, measured: dict[str, Any]) -> str:
    """The model card with its calibration section added or replaced."""
    before, _, rest = card.partition(_HEADING)
    after = rest[rest.index("\n## ") + 1 :] if "\n## " in rest else ""
    if not rest:
        before, mark, after = card.partition("## Limits")
        after = mark + after
    rows = [
        f"| {kind} | {measured['temperatures'].get(kind, 1.0):.2f} | {each['answers']} | {where} | "
        f"{each['accuracy']:.2f} | {each['ece_before']:.3f} | {each['ece_after']:.3f} |"
        for where in ("new seeds", "new families")
        for kind, each in measured[where].items()
    ]
    return before + _HEADING + _SECTION.format(rows="\n".join(rows)) + "\n" + after


_HEADING = "## Calibration"
_SECTION = """

Option scores are divided by one temperature per question kind before the softmax. The temperatures
are in `calibration.json`, which CodecSight reads and plain transformers does not. They were fitted
by `python -m training calibrate CHECKPOINT RESULTS` on encoded scenes that neither training nor
tests use. Expected calibration error (ECE) with 15 bins, on other scenes:

| kind | temperature | answers | scenes | accuracy | ECE before | ECE after |
|---|---|---|---|---|---|---|
{rows}
"""
