"""What a checkpoint says of real cameras, which are out of its world: a measurement, no promise."""

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
# Seconds around a coming or going in which presence is not asked.
_BLUR = 0.5
_MOST = 4


def measure_real_footage(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """Presence in `one_by_one.mp4` and counts in `vtest`; nothing where there are no clips."""
    if not CLIPS.is_dir():
        return {}
    return {"one_by_one": _one_by_one(learner, layout), "vtest": _vtest(learner, layout)}


def _one_by_one(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """Is there a person? At most one ever is."""
    spans = json.loads((CLIPS / "one_by_one.events.json").read_text())["person_present_s"]
    windows = recorded_windows(CLIPS / "one_by_one.mp4", _SLOTS, (5, 9))
    turns = np.array(spans).ravel()
    clear = [window for window in windows if np.abs(turns - window[0][-1]).min() >= _BLUR]
    true = [any(start < times[-1] < end for start, end in spans) for times, _ in clear]
    answers = ["yes" if present else "no" for present in true]
    return _asked(learner, layout, clear, (5, 9), "person", answers).summary()


def _vtest(learner: Learner, layout: PromptLayout) -> dict[str, Any]:
    """How many people are there? Three to eight are, and the model counts to four."""
    rows = np.loadtxt(CLIPS / "vtest.boxes.txt", delimiter=",", usecols=0, dtype=int)
    windows = recorded_windows(CLIPS / "vtest_h264_10fps_gop50.mp4", _SLOTS, (6, 8))
    counts = [int((rows == round(times[-1] * 10) + 1).sum()) for times, _ in windows]
    score = _asked(learner, layout, windows, (6, 8), "people", [str(n) for n in counts])
    told = [int(given) for (_, given), times in score.pairs.items() for _ in range(times)]
    within = [(n, t) for n, t in score.pairs if int(n) <= _MOST]
    return {
        "asked": score.asked,
        "people_mean": round(float(np.mean(counts)), 2),
        "said_mean": round(float(np.mean(told)), 2),
        "accuracy": round(score.accuracy, 4),
        "asked_up_to_four": sum(score.pairs[pair] for pair in within),
        "right_up_to_four": sum(score.pairs[n, t] for n, t in within if n == t),
    }


def _asked(
    learner: Learner,
    layout: PromptLayout,
    windows: Sequence[tuple[tuple[float, ...], NDArray[np.uint8]]],
    grid: tuple[int, int],
    topic: str,
    answers: Sequence[str],
) -> Score:
    clips = [Clip(frames, times, (), "footage") for times, frames in windows]
    asked = [[LabelledQuestion(topic, topic_question(topic), answer)] for answer in answers]
    return score_clips(learner, layout, clips, grid, asked)[topic]
