"""Scores of the demo's answers against the ground truth of the procedural cameras."""

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
    """Score of one question: `right` answers of those `checked`.

    Only answers with an unambiguous ground truth are checked. `best_constant` is the number of
    correct answers of the best constant answer.
    """

    checked: int = 0
    right: int = 0
    truth_counts: Counter[str] = field(default_factory=Counter)

    @property
    def best_constant(self) -> int:
        """The number of correct answers if the most frequent one were always given."""
        return max(self.truth_counts.values(), default=0)


def score_answers(
    answers: Iterable[Answer], cameras: Mapping[str, str]
) -> dict[str, QuestionScore]:
    """Scores by question over the streams in `cameras`, a map of stream name to world:// URL."""
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
    """The true answer at the end of the window; None if it is ambiguous."""
    times = np.arange(answer.end, max(answer.start - STEP_S / 2, -STEP_S / 2), -STEP_S)[::-1]
    labels = label_questions(camera.scene, [float(max(0.0, t)) for t in times])
    return next((label.answer for label in labels if label.topic == topic), None)


def _as_option(value: Value) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
