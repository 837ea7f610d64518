from collections.abc import Sequence

import pytest
import torch

from codecsight.answers.decoding import decode
from codecsight.core.question import Question, QuestionKind
from codecsight.models.families.qwen3_vl import Qwen3VL

SEEN = Question("What is there?", QuestionKind.TEXT)


class Script:
    """Says prepared tokens, each with a chance of one half."""

    def __init__(self, model: Qwen3VL, tokens: Sequence[int]) -> None:
        self.model, self.tokens, self.heard = model, list(tokens), []

    def extend(self, ids: Sequence[int]) -> torch.Tensor:
        self.heard.append(list(ids))
        logits = torch.full((300,), float("-inf"))
        logits[self.tokens[len(self.heard) - 1]] = logits[299] = 0.0
        return logits


def test_words_are_said_until_the_end(model: Qwen3VL) -> None:
    words = model.layout.encode("a van")
    script = Script(model, [*words, model.eos_token_id])
    found = decode(SEEN, model, script.extend, most=20)
    assert (found.value, found.probability) == ("a van", pytest.approx(0.5))
    assert script.heard == [model.layout.question(SEEN.text).ids.tolist(), *([w] for w in words)]


def test_no_more_words_than_allowed(model: Qwen3VL) -> None:
    script = Script(model, model.layout.encode("a van and more"))
    assert decode(SEEN, model, script.extend, most=5).value == "a van"
    assert len(script.heard) == 5


def test_an_answer_may_be_empty(model: Qwen3VL) -> None:
    found = decode(SEEN, model, Script(model, [model.eos_token_id]).extend, most=5)
    assert (found.value, found.probability) == ("", pytest.approx(0.5))
