"""Answers questions on a fork of the window, which stays unchanged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from codecsight.answers.decoding import decode
from codecsight.answers.scoring import ScoredAnswer, build_option_tree, score
from codecsight.answers.token_tree import TokenTree
from codecsight.core.question import Question
from codecsight.engine.config import EngineConfig, QueryView
from codecsight.engine.encoder_input import LatestFeatures
from codecsight.engine.errors import EngineError
from codecsight.engine.naive.cache import ForkCache, WindowKV
from codecsight.engine.resources.flops import FlopMeter, Flops, Work
from codecsight.engine.window import Window
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens


@dataclass(frozen=True, slots=True)
class NaiveWindowState:
    """What a query context is built from. `spend` adds work to the stream's account."""

    model: VisionLanguageModel
    config: EngineConfig
    window: Window
    kv: WindowKV
    latest_features: LatestFeatures
    meter: FlopMeter
    spend: Callable[[Work], None]


class NaiveQueryContext:
    """What questions attend to until the next slot comes: the window, with the newest slot
    completed as `QueryView` says.
    """

    def __init__(self, state: NaiveWindowState) -> None:
        self._state, self._model = state, state.model
        window, newest, view = state.window, state.window.entries[-1], state.config.query_view
        self._complete = self._model.layout.slot(newest.time, np.ones_like(newest.kept))
        if view is QueryView.LAST_SLOT or newest.has_every_cell:
            self._fork = state.kv.fork(window.length)
        elif view is QueryView.LATEST_FEATURES:
            self._fork = state.kv.fork(window.sequence_start(len(window.slots) - 1))
            self._prefill(self._complete, state.latest_features.features)
        else:
            self._fork = state.kv.fork(window.length)
            self._rerotate()
        self._base_tokens = self._fork.length

    def _rerotate(self) -> None:
        """Copy the newest token of every missing cell to the newest slot; prefill the cells of
        which the window holds no token.
        """
        state, window = self._state, self._state.window
        target_start = window.entries[-1].cells_start
        for index, cells in window.newest_elsewhere():
            entry = window.slots[index]
            visual = np.flatnonzero(entry.tokens.visual.numpy())[cells[entry.kept]]
            positions = torch.from_numpy(window.sequence_start(index) + visual)
            shift = torch.full((len(positions),), target_start - entry.cells_start)
            rotation = self._model.rotation(shift)
            keys = self._model.rotate_keys(state.kv.keys[:, :, positions], rotation)
            self._fork.add(keys, state.kv.values[:, :, positions])
        cached = np.logical_or.reduce([entry.kept for entry in window.slots])
        missing = np.flatnonzero(~cached)
        if len(missing):
            visual = np.flatnonzero(self._complete.visual.numpy())[missing]
            features = state.latest_features.features.select(missing)
            self._prefill(self._complete.select(visual), features)

    def _prefill(self, tokens: Tokens, cells: CellFeatures) -> None:
        """Add tokens of the newest slot to the fork."""
        causal = torch.ones(len(tokens), len(tokens), dtype=torch.bool).tril()
        start = self._state.window.entries[-1].start
        self._forward(self._fork, tokens.shifted(start), cells, causal, [])

    def answer(self, questions: Sequence[Question]) -> list[ScoredAnswer]:
        """Answer all, in order: those with options in one pass (more, where they are too long
        for one), free-form ones one by one.
        """
        with_options = [question for question in questions if not question.free_form]
        scored = iter(self._score(with_options) if with_options else [])
        return [
            self._decode(question) if question.free_form else next(scored) for question in questions
        ]

    def _score(self, questions: Sequence[Question]) -> list[ScoredAnswer]:
        option_tree = build_option_tree(questions, self._model)
        if len(questions) > 1 and len(option_tree.tree) > self._state.config.max_question_tokens:
            half = len(questions) // 2
            return self._score(questions[:half]) + self._score(questions[half:])
        logits = self._extend(self._fork.branch(), option_tree.tree, option_tree.logit_indices)
        return score(option_tree, logits)

    def _decode(self, question: Question) -> ScoredAnswer:
        fork = self._fork.branch()

        def extend(ids: Sequence[int]) -> Tensor:
            tree = TokenTree()
            last = tree.add_branch(ids)
            return self._extend(fork, tree, [last])[0]

        return decode(question, self._model, extend, self._state.config.max_answer_tokens)

    def _extend(self, fork: ForkCache, tree: TokenTree, logit_indices: list[int]) -> Tensor:
        """Add a tree to a fork; returns logits [logit_indices, vocab]."""
        state, max_tokens = self._state, self._state.config.max_question_tokens
        if len(tree) > max_tokens:
            raise EngineError(f"a question of {len(tree)} tokens; {max_tokens} are allowed")
        computed = fork.length - self._base_tokens
        tokens = tree.tokens.shifted(state.window.next_rotary_position + computed)
        logits = self._forward(fork, tokens, self._model.no_cells(), tree.mask, logit_indices)
        keys = state.window.dense_length + computed + len(tree)
        dense = Flops(llm=state.meter.llm(len(tree), keys, len(logit_indices)))
        state.spend(Work(recompute=dense, once=dense))
        return logits

    def _forward(
        self,
        fork: ForkCache,
        tokens: Tokens,
        cells: CellFeatures,
        mask: Tensor,
        logit_indices: list[int],
    ) -> Tensor:
        """Add tokens to a fork: they attend to all it holds, and to each other by `mask`."""
        past = torch.ones(len(tokens), fork.length, dtype=torch.bool)
        indices = torch.tensor(logit_indices, dtype=torch.long)
        logits = self._model.forward(tokens, cells, fork, torch.cat([past, mask], dim=1), indices)
        meter = self._state.meter
        spent = Flops(llm=meter.llm(len(tokens), fork.length, len(logit_indices)))
        self._state.spend(Work(spent=spent))
        return logits
