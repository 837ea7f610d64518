"""Accuracy on real recordings, which the checkpoint was not trained for."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codecsight.models.prompt import PromptLayout
from codecsight.world.labels.questions import LabelledQuestion, topic_question
from training.data.clips import Clip
from training.data.film import recorded_windows
from training.evaluation.scoring import Score, score_clips
from training.network import Learner

CLIPS = Path(os.environ.get("CODECSIGHT_CLIPS", Path(__file__).parents[3] / "shared" / "clips"))
_SLOTS = 4
# Presence is not asked within this time of a person's entry or exit.
_MARGIN_S = 0.5
_MAX_COUNT = 4


def measure_real_footage(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """Presence in `one_by_one.mp4` and counts in `vtest`; empty if the clips are not available."""
    if not CLIPS.is_dir():
        return {}
    return {"one_by_one": _one_by_one(learner, layout), "vtest": _vtest(learner, layout)}


def _one_by_one(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """Score of "Is there a person?"; there is at most one."""
    spans = json.loads((CLIPS / "one_by_one.events.json").read_text())["person_present_s"]
    windows = recorded_windows(CLIPS / "one_by_one.mp4", _SLOTS, (5, 9))
    changes = np.array(spans).ravel()
    clear = [window for window in windows if np.abs(changes - window[0][-1]).min() >= _MARGIN_S]
    presence = [any(start < times[-1] < end for start, end in spans) for times, _ in clear]
    answers = ["yes" if present else "no" for present in presence]
    return _score(learner, layout, clear, (5, 9), "person", answers).summary()


def _vtest(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """Score of "How many people are there?"; three to eight are, and the model counts to four."""
    rows = np.loadtxt(CLIPS / "vtest.boxes.txt", delimiter=",", usecols=0, dtype=int)
    windows = recorded_windows(CLIPS / "vtest_h264_10fps_gop50.mp4", _SLOTS, (6, 8))
    counts = [int((rows == round(times[-1] * 10) + 1).sum()) for times, _ in windows]
    score = _score(learner, layout, windows, (6, 8), "people", [str(n) for n in counts])
    predicted = [int(given) for (_, given), n in score.pairs.items() for _ in range(n)]
    within = [(true, given) for true, given in score.pairs if int(true) <= _MAX_COUNT]
    return {
        "questions": score.questions,
        "people_mean": round(float(np.mean(counts)), 2),
        "predicted_mean": round(float(np.mean(predicted)), 2),
        "accuracy": round(score.accuracy, 4),
        "questions_up_to_four": sum(score.pairs[pair] for pair in within),
        "correct_up_to_four": sum(score.pairs[pair] for pair in within if pair[0] == pair[1]),
    }


def _score(
    learner: Learner,
    layout: PromptLayout,
    windows: Sequence[tuple[tuple[float, ...], NDArray[np.uint8]]],
    grid: tuple[int, int],
    topic: str,
    answers: Sequence[str],
) -> Score:
    clips = [Clip(frames, times, (), "footage") for times, frames in windows]
    questions = [[LabelledQuestion(topic, topic_question(topic), answer)] for answer in answers]
    return score_clips(learner, layout, clips, grid, questions)[topic]
