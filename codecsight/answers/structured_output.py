"""Structured output: mask the logits to the tokens that a JSON schema allows next (llguidance)."""

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


class SchemaMatcher:
    """State of one answer in the grammar of a question's JSON schema.

    Raises QuestionError for a schema that can't be compiled.
    """

    def __init__(self, question: Question, model: VisionLanguageModel) -> None:
        grammar = LLMatcher.grammar_from_json_schema(
            question.schema, defaults={"whitespace_flexible": False}
        )
        tokenizer = _guidance_tokenizer(model.tokenizer, model.eos_token_id)
        self._matcher = LLMatcher(tokenizer, grammar, log_level=0)
        if self._matcher.is_error():
            raise QuestionError(
                f"the question {question.text!r} has a schema that can't be compiled: "
                f"{self._matcher.get_error()}"
            )

    def forced_tokens(self) -> list[int]:
        """Accept and return the tokens for which the schema leaves no alternative."""
        if self.finished:
            return []
        ids = self._matcher.compute_ff_tokens()
        self._matcher.consume_tokens(ids)
        return ids

    def mask(self, logits: Tensor) -> Tensor:
        """Logits [vocab] with -inf for every token that is not allowed next."""
        allowed = torch.zeros(len(logits), dtype=torch.bool)
        # The bias has one byte per token; its length may differ from the padded vocabulary's.
        bias = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)[: len(logits)]
        allowed[: len(bias)] = torch.from_numpy(bias > 0)
        return logits.masked_fill(~allowed.to(logits.device), float("-inf"))

    def accept(self, token: int) -> list[int]:
        """Accept a token; returns the forced tokens after it, which are accepted too."""
        self._matcher.consume_token(token)
        return self.forced_tokens()

    @property
    def finished(self) -> bool:
        """Whether the object is complete."""
        return self._matcher.is_stopped()


def parse_object(text: str) -> str | dict[str, Any]:
    """The JSON object in `text`, or `text` itself if it is incomplete."""
    try:
        value: dict[str, Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    return value


@lru_cache(maxsize=4)
def _guidance_tokenizer(tokenizer: Any, eos_token_id: int) -> LLTokenizer:
    """llguidance's form of a tokenizer; building it takes a second for a large vocabulary."""
    return from_tokenizer(tokenizer, eos_token=eos_token_id)
