"""The demo's answers against the truth: a procedural camera knows what it showed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from codecsight.core.answer import Answer, Value
from codecsight.world.labels.questions import WORDINGS, label_questions
from codecsight.world.source import WorldCamera

STEP_S = 0.5
_TOPICS = {text: topic for topic, texts in WORDINGS.items() for text in texts}


@dataclass(slots=True)
class QuestionScore:
    """How often one question was answered rightly, of the times that it could fairly be asked.
    `best_constant` is how often the best unchanging answer would have been right.
    """

    checked: int = 0
    right: int = 0
    truth_counts: Counter[str] = field(default_factory=Counter)

    @property
    def best_constant(self) -> int:
        """What an answer that never looks could get at best."""
        return max(self.truth_counts.values(), default=0)


def score_answers(
    answers: Iterable[Answer], cameras: Mapping[str, str]
) -> dict[str, QuestionScore]:
    """Scores by question, over the streams in `cameras` (stream name to world:// URL)."""
    scores: dict[str, QuestionScore] = {}
    for answer in answers:
        topic = _TOPICS.get(answer.question)
        if topic is None or answer.stream not in cameras:
            continue
        truth = _truth(answer, topic, WorldCamera.parse(cameras[answer.stream]))
        if truth is not None:
            score = scores.setdefault(answer.question, QuestionScore())
            score.checked += 1
            score.right += _as_option(answer.value) == truth
            score.truth_counts[truth] += 1
    return scores


def _truth(answer: Answer, topic: str, camera: WorldCamera) -> str | None:
    """The true answer at the end of the window; None where people could disagree."""
    times = np.arange(answer.end, max(answer.start - STEP_S / 2, -STEP_S / 2), -STEP_S)[::-1]
    asked = label_questions(camera.scene, [float(max(0.0, t)) for t in times])
    return next((each.answer for each in asked if each.topic == topic), None)


def _as_option(value: Value) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
