"""Questions on their way to answers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
from torch import Tensor

from codecsight.answers.decoding import greedy_decoding
from codecsight.answers.scoring import OptionTree, ScoredAnswer, build_option_tree, score
from codecsight.answers.token_tree import TokenTree
from codecsight.core.question import Question
from codecsight.engine.attention.pool import Rows
from codecsight.engine.errors import EngineError
from codecsight.models.base import VisionLanguageModel

OnToken = Callable[[str, str], None]
"""Is told of each new word of a spoken answer: the question, and the answer so far."""


def ignore_tokens(_question: str, _so_far: str) -> None:
    """Where nobody listens."""


class DecodeRequest(Protocol):
    """What is put to the model as one run: some questions, or one more word of an answer.

    `tree` comes next and is read after its tokens `read`; `asked` tokens of it stand in the pool
    already, at the first of its `rows`. It will need room for `size` tokens in all.
    """

    tree: TokenTree
    read: list[int]
    size: int
    asked: int
    rows: Rows

    def take(self, logits: Tensor) -> bool:
        """Go on with the logits [read, vocab]; whether that was all."""
        ...


class OptionRequest:
    """Questions with options: one pass. Answers go to `put`, in order."""

    def __init__(self, option_tree: OptionTree, put: Callable[[list[ScoredAnswer]], None]) -> None:
        self.tree, self.read, self.size = (
            option_tree.tree,
            option_tree.logit_indices,
            len(option_tree.tree),
        )
        self.asked, self.rows = 0, np.arange(0)
        self._option_tree, self._put = option_tree, put

    def take(self, logits: Tensor) -> bool:
        """Read the answers."""
        self._put(score(self._option_tree, logits))
        return True


class FreeFormRequest:
    """A question whose answer is said word by word: a pass for each."""

    def __init__(
        self,
        question: Question,
        model: VisionLanguageModel,
        most: int,
        put: Callable[[list[ScoredAnswer]], None],
        on_token: OnToken,
    ) -> None:
        heard = partial(on_token, question.text)
        self._words, self._put = greedy_decoding(question, model, most, heard), put
        self._lay(next(self._words))
        self.size = len(self.tree) + most
        self.asked, self.rows = 0, np.arange(0)

    def _lay(self, ids: Sequence[int]) -> None:
        self.tree = TokenTree()
        self.read = [self.tree.add_branch(ids)]

    def take(self, logits: Tensor) -> bool:
        """Choose the next word, or end."""
        self.asked += len(self.tree)
        try:
            self._lay(self._words.send(logits[0]))
        except StopIteration as end:
            self._put([end.value])
            return True
        return False


class QuestionBatch:
    """The questions of one stream that are due together; `asks` are still to be put. `on_token` is
    told of each new word of those that are spoken: the question, and the answer so far.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        option_trees: Sequence[OptionTree],
        model: VisionLanguageModel,
        most_words: int,
        on_token: OnToken,
    ) -> None:
        self.questions = questions
        self.scored: dict[int, ScoredAnswer] = {}
        typed = [i for i, q in enumerate(questions) if not q.free_form]
        self.asks: list[DecodeRequest] = []
        for option_tree in option_trees:
            indices, typed = (
                typed[: len(option_tree.questions)],
                typed[len(option_tree.questions) :],
            )
            self.asks.append(OptionRequest(option_tree, self._putter(indices)))
        self.asks += [
            FreeFormRequest(question, model, most_words, self._putter([index]), on_token)
            for index, question in enumerate(questions)
            if question.free_form
        ]

    def _putter(self, indices: Sequence[int]) -> Callable[[list[ScoredAnswer]], None]:
        def put(found: list[ScoredAnswer]) -> None:
            self.scored.update(zip(indices, found, strict=True))

        return put


def build_option_trees(
    questions: Sequence[Question], model: VisionLanguageModel, most: int
) -> list[OptionTree]:
    """The questions with options as few trees of at most `most` tokens. Raises QuestionError for
    one that this model can't be asked, EngineError for one that is too long.
    """
    if not questions:
        return []
    option_tree = build_option_tree(questions, model)
    if len(option_tree.tree) <= most:
        return [option_tree]
    if len(questions) == 1:
        raise EngineError(f"a question of {len(option_tree.tree)} tokens; {most} are allowed")
    half = len(questions) // 2
    return build_option_trees(questions[:half], model, most) + build_option_trees(
        questions[half:], model, most
    )
