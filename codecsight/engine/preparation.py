"""The part of a job that needs no window: checks, a slot's tokens, the token trees of questions.

Any thread may prepare, also while a step computes; the engine's thread submits what is prepared:

    any thread         Preparer.slot, Preparer.questions   PreparedSlot, QuestionBatch
    engine's thread    Engine.submit_prepared              placed in a window, computed

Example: while a step computes, a delta with 3 cells arrives. Another thread decodes its patches,
checks them, and builds its 8 tokens (5 of the time stamp, 3 cells). The next step only places it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.config import EngineConfig
from codecsight.engine.errors import EngineError
from codecsight.engine.request import OnToken, QuestionBatch, build_option_trees, ignore_tokens
from codecsight.engine.resources.validation import check_content
from codecsight.engine.window import slot_time
from codecsight.models.base import VisionLanguageModel
from codecsight.models.prompt import Tokens


@dataclass(frozen=True, slots=True)
class PreparedSlot:
    """A checked slot with arrays of its own, and its tokens (positions from 0)."""

    slot: Slot
    tokens: Tokens


class Preparer:
    """Prepares slots and questions for one engine. Thread-safe: its caches lock, and the
    tokenizer is called under the lock of the model's prompt layout.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig) -> None:
        self._model, self._config = model, config
        # Standing questions are asked at every stride: their trees are built once.
        build = partial(build_option_trees, model=model, max_tokens=config.max_question_tokens)
        self._build_option_trees = lru_cache(maxsize=256)(build)

    def slot(self, stream: str, slot: Slot) -> PreparedSlot:
        """Check, copy and tokenise a slot. Raises SlotRefused for one that disagrees with itself
        or with the model; whether it fits its stream is checked when it is submitted.
        """
        check_content(stream, slot, self._model.cell, self._model.frames)
        tokens = self._model.layout.slot(slot_time(slot.times), slot.kept)
        # A copy: the caller may reuse its arrays.
        own = replace(slot, kept=slot.kept.copy(), patches=slot.patches.copy())
        return PreparedSlot(own, tokens)

    def questions(
        self, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> QuestionBatch | None:
        """Tokenise questions that are asked together; None for none. `on_token` is called with each
        new token of free-form answers. Raises QuestionError for one that this model cannot be
        asked, EngineError for one that is too long.
        """
        if not questions:
            return None
        trees = self._build_option_trees(tuple(one for one in questions if not one.free_form))
        max_answer_tokens = self._config.max_answer_tokens
        batch = QuestionBatch(questions, trees, self._model, max_answer_tokens, on_token)
        longest, allowed = batch.longest_call, self._config.max_question_tokens
        if longest > allowed:
            raise EngineError(f"a question of {longest} tokens; {allowed} are allowed")
        return batch
