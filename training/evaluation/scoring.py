"""How well a model answers on scenes it never saw."""

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

_AT_ONCE = 16


@dataclass
class Score:
    """Answers given to one topic: how often each (true, given) pair came up."""

    pairs: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    @property
    def asked(self) -> int:
        """How many questions."""
        return sum(self.pairs.values())

    @property
    def accuracy(self) -> float:
        """The share answered rightly."""
        right = sum(count for (true, given), count in self.pairs.items() if true == given)
        return right / max(1, self.asked)

    @property
    def majority(self) -> float:
        """The accuracy of always giving the commonest answer."""
        totals: dict[str, int] = defaultdict(int)
        for (true, _), count in self.pairs.items():
            totals[true] += count
        return max(totals.values(), default=0) / max(1, self.asked)

    @property
    def f1(self) -> float | None:
        """F1 of "yes"; None for other questions."""
        if not any(true in ("yes", "no") for true, _ in self.pairs):
            return None
        hits = self.pairs.get(("yes", "yes"), 0)
        wrong = self.pairs.get(("no", "yes"), 0) + self.pairs.get(("yes", "no"), 0)
        return 2 * hits / max(1, 2 * hits + wrong)

    def _true(self, answer: str) -> int:
        return sum(count for (true, _), count in self.pairs.items() if true == answer)

    def summary(self) -> dict[str, Any]:
        """For the results file."""
        f1 = self.f1
        return {
            "asked": self.asked,
            "accuracy": round(self.accuracy, 4),
            "majority": round(self.majority, 4),
            **({} if f1 is None else {"f1": round(f1, 4), "yes": self._true("yes")}),
        }


def held_out_clips(
    count: int,
    slots: int,
    grid: tuple[int, int],
    families: Sequence[str] = TRAINING_FAMILIES,
    seed: int = 0,
) -> list[Clip]:
    """Windows of scenes no training run has seen."""
    rng = random.Random(f"held out/{seed}/{slots}/{grid}/{families}")
    return draw_clips(rng, count, slots, grid, families, HELD_OUT_SEEDS)


@torch.no_grad()
def score_clips(
    learner: Learner,
    layout: PromptLayout,
    clips: Sequence[Clip],
    grid: tuple[int, int],
    asked: Sequence[Sequence[LabelledQuestion]] | None = None,
) -> dict[str, Score]:
    """What is `asked` of each window (every question that can be, unless given), by topic; windows
    of one length and grid.

    An answer is the likeliest of the question's options, as the product reads it.
    """
    found: dict[str, Score] = defaultdict(Score)
    packer, rng = Packer(layout, grid, max_questions=len(WORDINGS)), random.Random(0)
    for start in range(0, len(clips), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        batch = packer.pack(clips[some], rng, asked[some] if asked else None).to(learner.device)
        logits, due = learner.answer_logits(*learner.encode_images(batch), batch)
        said = list(batch.answer_lengths)
        for item, rows, true in zip(
            batch.questions, torch.split(logits, said), torch.split(due, said), strict=True
        ):
            given = predicted_answer(item, rows, true, layout)
            found[item.topic].pairs[item.answer, given] += 1
    return dict(found)


def predicted_answer(
    asked: LabelledQuestion, logits: Tensor, due: Tensor, layout: PromptLayout
) -> str:
    """The answer given. A text is right as a whole or not at all: each of its words is asked for
    after the true ones before it, which finds just those that would be said freely.
    """
    options = asked.question.options
    if not options:
        return asked.answer if torch.equal(logits.argmax(-1), due) else ""
    ids = [layout.encode(option)[0] for option in options]
    return options[int(logits[0, ids].argmax())]
