"""Asking: a fork at the present, which leaves no trace in the window it stands on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from codecsight.answers.decoding import decode
from codecsight.answers.scoring import ScoredAnswer, build_option_tree, score
from codecsight.answers.token_tree import TokenTree
from codecsight.core.question import Question
from codecsight.engine.config import QueryView
from codecsight.engine.errors import EngineError
from codecsight.engine.naive.cache import ForkCache
from codecsight.engine.resources.flops import Flops, Work
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens

if TYPE_CHECKING:
    from codecsight.engine.naive.session import NaiveSession


class NaiveQueryContext:
    """Where questions stand until the next slot comes: after the window's newest slot, as
    `QueryView` says. Work goes on the session's account.
    """

    def __init__(self, session: "NaiveSession") -> None:
        self._session, self._model = session, session.model
        window, newest = session.window, session.window.entries[-1]
        self._whole = self._model.layout.slot(newest.time, np.ones_like(newest.kept))
        if session.config.query_view is QueryView.LAST_SLOT or newest.whole:
            self._fork = session.kv.fork(window.length)
        elif session.config.query_view is QueryView.LATEST_FEATURES:
            self._fork = session.kv.fork(window.place(len(window.slots) - 1))
            self._prefill(self._whole, session.latest_features.features)
        else:
            self._fork = session.kv.fork(window.length)
            self._retime()
        self._base_tokens = self._fork.length

    def _retime(self) -> None:
        """Copy the newest token of every other cell to the newest slot; prefill what is missing."""
        session, window = self._session, self._session.window
        here = window.entries[-1].cells_start
        for index, cells in window.newest():
            entry = window.slots[index]
            visual = np.flatnonzero(entry.tokens.visual.numpy())[cells[entry.kept]]
            places = torch.from_numpy(window.place(index) + visual)
            by = torch.full((len(places),), here - entry.cells_start)
            keys = self._model.rotate_keys(session.kv.keys[:, :, places], self._model.rotation(by))
            self._fork.add(keys, session.kv.values[:, :, places])
        seen = np.logical_or.reduce([entry.kept for entry in window.slots])
        unseen = np.flatnonzero(~seen)
        if len(unseen):
            visual = np.flatnonzero(self._whole.visual.numpy())[unseen]
            self._prefill(
                self._whole.select(visual), session.latest_features.features.select(unseen)
            )

    def _prefill(self, tokens: Tokens, cells: CellFeatures) -> None:
        """Add tokens of the newest slot to the fork."""
        causal = torch.ones(len(tokens), len(tokens), dtype=torch.bool).tril()
        start = self._session.window.entries[-1].start
        self._forward(self._fork, tokens.shifted(start), cells, causal, [])

    def answer(self, questions: Sequence[Question]) -> list[ScoredAnswer]:
        """Answer all, in order: those with options in one pass (more, where they are too long
        for one), free text one by one.
        """
        typed = [question for question in questions if not question.free_form]
        scored = iter(self._score(typed) if typed else [])
        return [
            self._decode(question) if question.free_form else next(scored) for question in questions
        ]

    def _score(self, questions: Sequence[Question]) -> list[ScoredAnswer]:
        option_tree = build_option_tree(questions, self._model)
        if len(questions) > 1 and len(option_tree.tree) > self._session.config.max_question_tokens:
            half = len(questions) // 2
            return self._score(questions[:half]) + self._score(questions[half:])
        logits = self._ask(self._fork.branch(), option_tree.tree, option_tree.logit_indices)
        return score(option_tree, logits)

    def _decode(self, question: Question) -> ScoredAnswer:
        fork = self._fork.branch()

        def extend(ids: Sequence[int]) -> Tensor:
            tree = TokenTree()
            last = tree.add_branch(ids)
            return self._ask(fork, tree, [last])[0]

        return decode(question, self._model, extend, self._session.config.max_answer_tokens)

    def _ask(self, fork: ForkCache, tree: TokenTree, rows: list[int]) -> Tensor:
        """Put a tree after what `fork` holds; logits [rows, vocab] after its tokens `rows`."""
        session, most = self._session, self._session.config.max_question_tokens
        if len(tree) > most:
            raise EngineError(f"a question of {len(tree)} tokens; {most} are allowed")
        asked = fork.length - self._base_tokens
        tokens = tree.tokens.shifted(session.window.next_position + asked)
        logits = self._forward(fork, tokens, self._model.no_cells(), tree.mask, rows)
        keys = session.window.dense_length + asked + len(tree)
        dense = Flops(llm=session.meter.llm(len(tree), keys, len(rows)))
        session.spend(Work(recompute=dense, once=dense))
        return logits

    def _forward(
        self, fork: ForkCache, tokens: Tokens, cells: CellFeatures, mask: Tensor, rows: list[int]
    ) -> Tensor:
        """Add tokens to a fork: they see all it holds, and each other as `mask` says."""
        past = torch.ones(len(tokens), fork.length, dtype=torch.bool)
        read = torch.tensor(rows, dtype=torch.long)
        logits = self._model.forward(tokens, cells, fork, torch.cat([past, mask], dim=1), read)
        spent = Flops(llm=self._session.meter.llm(len(tokens), fork.length, len(rows)))
        self._session.spend(Work(spent=spent))
        return logits
