"""Greedy decoding of free text."""

from collections.abc import Sequence

import pytest
import torch

from codecsight.answers.decoding import decode
from codecsight.core.question import Question, QuestionKind
from codecsight.models.families.qwen3_vl import Qwen3VL

QUESTION = Question("What is there?", QuestionKind.TEXT)


class ScriptedLogits:
    """Logits under which prepared tokens are decoded, each with a probability of one half."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens, self.extended = list(tokens), []

    def extend(self, ids: Sequence[int]) -> torch.Tensor:
        self.extended.append(list(ids))
        logits = torch.full((300,), float("-inf"))
        logits[self.tokens[len(self.extended) - 1]] = logits[299] = 0.0
        return logits


def test_tokens_are_decoded_one_by_one_until_the_end_token(model: Qwen3VL) -> None:
    tokens = model.layout.encode("a van")
    script = ScriptedLogits([*tokens, model.eos_token_id])
    answer = decode(QUESTION, model, script.extend, max_tokens=20)
    assert (answer.value, answer.probability) == ("a van", pytest.approx(0.5))
    prompt = model.layout.question(QUESTION.text).ids.tolist()
    assert script.extended == [prompt, *([token] for token in tokens)]


def test_decoding_stops_at_max_tokens(model: Qwen3VL) -> None:
    script = ScriptedLogits(model.layout.encode("a van and more"))
    assert decode(QUESTION, model, script.extend, max_tokens=5).value == "a van"
    assert len(script.extended) == 5


def test_an_answer_may_be_empty(model: Qwen3VL) -> None:
    script = ScriptedLogits([model.eos_token_id])
    answer = decode(QUESTION, model, script.extend, max_tokens=5)
    assert (answer.value, answer.probability) == ("", pytest.approx(0.5))
