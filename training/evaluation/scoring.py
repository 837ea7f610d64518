"""Accuracy of answers on scenes that training did not use."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from codecsight.models.prompt import PromptLayout
from codecsight.world import TRAINING_FAMILIES
from codecsight.world.labels.questions import WORDINGS, LabelledQuestion
from training.data.clips import Clip, draw_clips
from training.data.packing import Packer
from training.network import Learner
from training.recipe import HELD_OUT_SEEDS

_BATCH_WINDOWS = 16


@dataclass
class Score:
    """Confusion counts of one topic: how often each (true, predicted) pair occurred."""

    pairs: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    @property
    def questions(self) -> int:
        """Number of questions."""
        return sum(self.pairs.values())

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        correct = sum(n for (true, predicted), n in self.pairs.items() if true == predicted)
        return correct / max(1, self.questions)

    @property
    def majority(self) -> float:
        """Accuracy of the baseline that always gives the most frequent answer."""
        totals: dict[str, int] = defaultdict(int)
        for (true, _), count in self.pairs.items():
            totals[true] += count
        return max(totals.values(), default=0) / max(1, self.questions)

    @property
    def f1(self) -> float | None:
        """F1 score of "yes"; None for topics without yes and no."""
        if not any(true in ("yes", "no") for true, _ in self.pairs):
            return None
        true_positives = self.pairs.get(("yes", "yes"), 0)
        wrong = self.pairs.get(("no", "yes"), 0) + self.pairs.get(("yes", "no"), 0)
        return 2 * true_positives / max(1, 2 * true_positives + wrong)

    def _true_count(self, answer: str) -> int:
        return sum(count for (true, _), count in self.pairs.items() if true == answer)

    def summary(self) -> dict[str, Any]:
        """The score as an entry of the results file."""
        f1 = self.f1
        return {
            "questions": self.questions,
            "accuracy": round(self.accuracy, 4),
            "majority": round(self.majority, 4),
            **({} if f1 is None else {"f1": round(f1, 4), "positives": self._true_count("yes")}),
        }


def held_out_clips(
    count: int,
    slots: int,
    grid: tuple[int, int],
    families: Sequence[str] = TRAINING_FAMILIES,
    seed: int = 0,
) -> list[Clip]:
    """Random windows of scenes that training does not use."""
    # The text is the random seed of all committed results.
    rng = random.Random(f"held out/{seed}/{slots}/{grid}/{families}")
    return draw_clips(rng, count, slots, grid, families, HELD_OUT_SEEDS)


@torch.no_grad()
def score_clips(
    learner: Learner,
    layout: PromptLayout,
    clips: Sequence[Clip],
    grid: tuple[int, int],
    questions: Sequence[Sequence[LabelledQuestion]] | None = None,
) -> dict[str, Score]:
    """Scores by topic on windows of one length and grid.

    `questions` gives the questions of each window; by default all that its ground truth can
    answer. The predicted answer is the most probable option, as in the engine.
    """
    scores: dict[str, Score] = defaultdict(Score)
    packer, rng = Packer(layout, grid, max_questions=len(WORDINGS)), random.Random(0)
    for start in range(0, len(clips), _BATCH_WINDOWS):
        part = slice(start, start + _BATCH_WINDOWS)
        batch = packer.pack(clips[part], rng, questions[part] if questions else None)
        batch = batch.to(learner.device)
        logits, labels = learner.answer_logits(*learner.encode_images(batch), batch)
        lengths = list(batch.answer_lengths)
        for item, rows, true in zip(
            batch.questions, torch.split(logits, lengths), torch.split(labels, lengths), strict=True
        ):
            predicted = predicted_answer(item, rows, true, layout)
            scores[item.topic].pairs[item.answer, predicted] += 1
    return dict(scores)


def predicted_answer(
    item: LabelledQuestion, logits: Tensor, labels: Tensor, layout: PromptLayout
) -> str:
    """The predicted answer from the logits [tokens, vocabulary] at its labels [tokens].

    For free text it is the true text or "" (wrong). The logits are teacher-forced; greedy decoding
    gives the true text exactly if every token is the most probable one.
    """
    options = item.question.options
    if not options:
        return item.answer if torch.equal(logits.argmax(-1), labels) else ""
    ids = [layout.encode(option)[0] for option in options]
    return options[int(logits[0, ids].argmax())]
