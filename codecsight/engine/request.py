"""Questions as decode requests, and the batch in which a stream's questions are answered.

Questions with options are scored in one model call: the questions are one token tree, in which a
common beginning occurs once, and logits are read where each answer begins. Example:

    Is there a -+- person? (end of the prompt)    logits here score yes and no
                +- car?    (end of the prompt)    and here

Options of several tokens add branches; their last tokens are only predicted, never in the tree.
Free-form answers (text, JSON) are decoded token by token, a model call each.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
from torch import Tensor

from codecsight.answers.decoding import greedy_decoding
from codecsight.answers.scoring import OptionTree, ScoredAnswer, build_option_tree, score
from codecsight.answers.token_tree import TokenTree
from codecsight.core.answer import Answer
from codecsight.core.question import Question
from codecsight.engine.attention.pool import KVIndices
from codecsight.engine.errors import EngineError
from codecsight.engine.window import CachedSlot
from codecsight.models.base import VisionLanguageModel

OnToken = Callable[[str, str], None]
"""Called with each new token of a free-form answer: the question, and the answer so far."""

OnScored = Callable[[list[ScoredAnswer]], None]
"""Called with the answers of a finished request, in the order of its questions."""


def ignore_tokens(_question: str, _text: str) -> None:
    """The default callback: discards partial answers."""


class DecodeRequest(Protocol):
    """A fork of the window that runs as one segment: questions with options, or the next tokens of
    a free-form answer.

    `tree` holds the next tokens; logits are needed after its tokens `logit_indices`. `computed`
    earlier tokens of the request are in the pool already, at the first of its `kv_indices`. It
    occupies at most `max_tokens` of them.
    """

    tree: TokenTree
    logit_indices: list[int]
    max_tokens: int
    computed: int
    kv_indices: KVIndices

    def advance(self, logits: Tensor) -> bool:
        """Continue with the logits [logit_indices, vocab]; returns whether it is finished."""
        ...


class OptionRequest:
    """Questions with options, answered in one model call."""

    def __init__(self, option_tree: OptionTree, on_scored: OnScored) -> None:
        self.tree, self.logit_indices = option_tree.tree, option_tree.logit_indices
        self.max_tokens = len(option_tree.tree)
        self.computed, self.kv_indices = 0, np.arange(0)
        self._option_tree, self._on_scored = option_tree, on_scored

    def advance(self, logits: Tensor) -> bool:
        """Score the options."""
        self._on_scored(score(self._option_tree, logits))
        return True


class FreeFormRequest:
    """A question whose answer is decoded token by token, at most `max_answer_tokens` of them."""

    def __init__(
        self,
        question: Question,
        model: VisionLanguageModel,
        max_answer_tokens: int,
        on_scored: OnScored,
        on_token: OnToken,
    ) -> None:
        on_text = partial(on_token, question.text)
        self._decoding = greedy_decoding(question, model, max_answer_tokens, on_text)
        self._on_scored = on_scored
        self._set_next(next(self._decoding))
        self.max_tokens = len(self.tree) + max_answer_tokens
        self.computed, self.kv_indices = 0, np.arange(0)

    def _set_next(self, ids: Sequence[int]) -> None:
        self.tree = TokenTree()
        self.logit_indices = [self.tree.add_branch(ids)]

    def advance(self, logits: Tensor) -> bool:
        """Choose the next token, or finish."""
        self.computed += len(self.tree)
        try:
            self._set_next(self._decoding.send(logits[0]))
        except StopIteration as end:
            self._on_scored([end.value])
            return True
        return False


class QuestionBatch:
    """Questions that are asked of one stream together. `pending` requests are not finished yet;
    `scored` holds the answers so far, by index of the question.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        option_trees: Sequence[OptionTree],
        model: VisionLanguageModel,
        max_answer_tokens: int,
        on_token: OnToken,
    ) -> None:
        self.questions = questions
        self.cancelled = False
        self._model_name = model.name
        self.scored: dict[int, ScoredAnswer] = {}
        with_options = [i for i, question in enumerate(questions) if not question.free_form]
        self.pending: list[DecodeRequest] = []
        for option_tree in option_trees:
            count = len(option_tree.questions)
            indices, with_options = with_options[:count], with_options[count:]
            self.pending.append(OptionRequest(option_tree, self._store(indices)))
        self.pending += [
            FreeFormRequest(question, model, max_answer_tokens, self._store([index]), on_token)
            for index, question in enumerate(questions)
            if question.free_form
        ]

    def cancel(self) -> None:
        """Nobody waits for the answers: the engine drops the questions at its next step. May be
        called on any thread.
        """
        self.cancelled = True

    @property
    def longest_call(self) -> int:
        """The most tokens that one of the pending requests puts into a model call."""
        return max(len(request.tree) for request in self.pending)

    def _store(self, indices: Sequence[int]) -> OnScored:
        def store(scored: list[ScoredAnswer]) -> None:
            self.scored.update(zip(indices, scored, strict=True))

        return store

    def answers(
        self, stream: str, entries: Sequence[CachedSlot], latency_ms: float
    ) -> tuple[Answer, ...]:
        """All answers, in the order of the questions; they rest on the window's `entries`."""
        scored = [self.scored[index] for index in range(len(self.questions))]
        return build_answers(stream, self.questions, scored, entries, latency_ms, self._model_name)


def build_answers(
    stream: str,
    questions: Sequence[Question],
    scored: Sequence[ScoredAnswer],
    entries: Sequence[CachedSlot],
    latency_ms: float,
    model: str,
) -> tuple[Answer, ...]:
    """Answers with the time span and the cells of the window's `entries` that they rest on."""
    return tuple(
        Answer(
            stream=stream,
            question=question.text,
            value=answer.value,
            probability=answer.probability,
            start=entries[0].times[0],
            end=entries[-1].times[-1],
            capture_time=entries[-1].capture_time,
            latency_ms=latency_ms,
            cells_kept=sum(entry.kept_count for entry in entries),
            cells_total=sum(entry.kept.size for entry in entries),
            model=model,
        )
        for question, answer in zip(questions, scored, strict=True)
    )


def build_option_trees(
    questions: Sequence[Question], model: VisionLanguageModel, max_tokens: int
) -> list[OptionTree]:
    """The questions with options as few trees of at most `max_tokens` tokens. Raises QuestionError
    for one that cannot be asked of this model, EngineError for one that is too long.
    """
    if not questions:
        return []
    option_tree = build_option_tree(questions, model)
    if len(option_tree.tree) <= max_tokens:
        return [option_tree]
    if len(questions) == 1:
        raise EngineError(f"a question of {len(option_tree.tree)} tokens; {max_tokens} are allowed")
    half = len(questions) // 2
    first, second = questions[:half], questions[half:]
    return build_option_trees(first, model, max_tokens) + build_option_trees(
        second, model, max_tokens
    )
