"""Answers in the shape of a JSON schema: whatever the model would like to say, only what the
schema allows next is counted.
"""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from torch import Tensor

from codecsight.core.errors import QuestionError
from codecsight.core.question import Question
from codecsight.models.base import VisionLanguageModel


class Shape:
    """What a question's schema allows, token by token, for one answer. Raises QuestionError for a
    schema that can't be followed.
    """

    def __init__(self, question: Question, model: VisionLanguageModel) -> None:
        grammar = LLMatcher.grammar_from_json_schema(
            question.schema, defaults={"whitespace_flexible": False}
        )
        self._matcher = LLMatcher(_tokens(model), grammar, log_level=0)
        if self._matcher.is_error():
            raise QuestionError(
                f"the question {question.text!r} has a schema that can't be followed: "
                f"{self._matcher.get_error()}"
            )

    def forced(self) -> list[int]:
        """The tokens that must come next, whatever the model says; they are taken as said."""
        if self.whole:
            return []
        ids = self._matcher.compute_ff_tokens()
        self._matcher.consume_tokens(ids)
        return ids

    def only(self, logits: Tensor) -> Tensor:
        """Logits [vocab], -inf for what is not allowed next."""
        allowed = torch.zeros(len(logits), dtype=torch.bool)
        bias = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)[: len(logits)]
        allowed[: len(bias)] = torch.from_numpy(bias > 0)
        return logits.masked_fill(~allowed.to(logits.device), float("-inf"))

    def say(self, token: int) -> list[int]:
        """Take a token as said; returns those that must follow it, which are taken as said too."""
        self._matcher.consume_token(token)
        return self.forced()

    @property
    def whole(self) -> bool:
        """Whether the answer ends here."""
        return self._matcher.is_stopped()


def value_of(text: str) -> str | dict[str, Any]:
    """The object an answer says; one that was cut off stays text."""
    try:
        value: dict[str, Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    return value


def _tokens(model: VisionLanguageModel) -> LLTokenizer:
    return _known(model.tokenizer, model.eos_token_id)


@lru_cache(maxsize=4)
def _known(tokenizer: Any, end: int) -> LLTokenizer:
    """Takes a second for a large vocabulary."""
    return from_tokenizer(tokenizer, eos_token=end)
