"""CacheBlend on video windows (Yao et al., EuroSys 2025; published for text).

Of the reused tokens, those whose cached keys deviate most from freshly computed ones are prefilled
again. To find them, the first layer is computed for every token, which is charged to the baseline
unless `search_free`. Built on the naive engine, whose KV cache is contiguous.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.accuracy.evaluation import PROBE, Answers, SelectSlots, cost_of, subtract_work
from benchmarks.accuracy.footage import Footage
from codecsight.core.grid import PatchGrid
from codecsight.engine.config import EngineConfig
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.engine.naive.session import NaiveSession, Slide
from codecsight.engine.resources.flops import Flops, Work
from codecsight.engine.window import CachedSlot
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

SHARE = 0.15
"""Share of the reused tokens that are refreshed, as published."""


class CacheBlendSession(NaiveSession):
    """A session that refreshes single tokens where `NaiveSession` refreshes whole slots."""

    share, search_free = SHARE, False
    _slid = False

    def _make_room(self, entry: CachedSlot) -> Slide:
        slide = super()._make_room(entry)
        # A rebased window is prefilled as a whole: nothing is reused, nothing to refresh.
        self._slid = bool(slide.evicted) and not slide.rebased
        return slide

    def _prefill_slots(self, indices: list[int]) -> int:
        """Prefill the newest slot and the `share` of older tokens with the largest deviation."""
        if not self._slid:
            return super()._prefill_slots(indices)
        slots, prefix = self.window.slots, len(self.window.prefix)
        tokens = Tokens.join([slot.tokens.shifted(slot.start) for slot in slots])
        cells = CellFeatures.join([slot.features for slot in slots])
        old = len(tokens) - len(slots[-1].tokens)
        count = math.ceil(self.share * old)
        refreshed = np.sort(np.argsort(-self._deviation(tokens, cells, count)[:old])[:count])
        chosen = np.concatenate([refreshed, np.arange(old, len(tokens))])
        # `cells` holds one feature for each visual token: map chosen visual tokens to their rank.
        visual = tokens.visual.numpy()
        cell_indices = (np.cumsum(visual) - 1)[chosen][visual[chosen]]
        kv_indices = torch.from_numpy(prefix + chosen)
        self._prefill(tokens.select(chosen), cells.select(cell_indices), kv_indices)
        self.window.mark_prefilled([len(slots) - 1])
        return len(chosen)

    def _deviation(self, tokens: Tokens, cells: CellFeatures, count: int) -> np.ndarray:
        """Squared distance of each token's cached key from a fresh one, in the second layer.

        The second layer is the first whose keys depend on other tokens. The first layer is charged
        here, except for the `count` refreshed tokens and the newest slot, which are prefilled (and
        charged) anyway.
        """
        prefix = self.window.prefix
        whole = Tokens.join([prefix.shifted(self.window.prefix_rotary_start), tokens])
        fork, size = self.kv.fork(0), len(whole)
        causal = torch.ones(size, size, dtype=torch.bool).tril()
        self.model.forward(whole, cells, fork, causal, torch.arange(0))
        fresh = fork._layers[1][0][0, :, len(prefix) :]
        cached = self.kv.keys[1, :, len(prefix) : len(prefix) + fresh.shape[1]]
        others = len(tokens) - count - len(self.window.slots[-1].tokens)
        first_layer = self.meter.llm(others, size) // len(self.kv.keys)
        self.spend(Work(spent=Flops(llm=0 if self.search_free else first_layer)))
        deviation: np.ndarray = (fresh - cached).square().sum(dim=(0, 2)).numpy()
        return deviation


class CacheBlendEngine(NaiveEngine):
    """A naive engine (one stream and one slot at a time) of CacheBlend sessions."""

    def __init__(
        self,
        model: VisionLanguageModel,
        config: EngineConfig,
        share: float = SHARE,
        search_free: bool = False,
    ) -> None:
        super().__init__(model, config)
        self._share, self._search_free = share, search_free

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Open a stream."""
        session = CacheBlendSession(stream, self.model, grid, self.config, self._meter)
        session.share, session.search_free = self._share, self._search_free
        self._sessions[stream] = session


def evaluate_cacheblend(
    engine: CacheBlendEngine,
    footages: Sequence[Footage],
    select_slots: SelectSlots = lambda footage: footage.slots["tracked"],
) -> Answers:
    """Evaluate CacheBlend, charged as in `evaluate_slots`."""
    answers = Answers()
    for each in footages:
        stream, slots = each.stream.url, select_slots(each)
        engine.open(stream, each.grid)
        windows = {window.index for window in each.windows}
        before = question_set_work = Work()
        for index, slot in enumerate(slots):
            if engine.push(stream, slot).stride_complete:
                engine.ask(stream, PROBE)
            if index == engine.config.window - 2:  # the next slot fills the window
                before, question_set_work = engine.work(stream), Work()
            if index in windows:
                started = engine.work(stream)
                given = engine.ask_all(stream, list(each.questions))
                values = [answer.value for answer in given]
                answers.add_window((stream, index), each.questions, values)
                question_set_work += subtract_work(engine.work(stream), started)
        work = subtract_work(subtract_work(engine.work(stream), before), question_set_work)
        answers.costs[stream] = cost_of(work, slots)
        engine.close(stream)
    return answers


def share_for_budget(
    no_refresh: int, published: int, target: int, layers: int, search_free: bool
) -> float:
    """Share of the reused tokens that `target` language model operations can refresh.

    `no_refresh` operations are spent without refreshing, `published` with the share SHARE. With f
    operations for all reused tokens in one layer, a share s costs f (1 + s (layers - 1)): the
    search computes all tokens in the first layer, the other layers compute the share s. With
    `search_free` it costs f s layers.
    """
    one_layer = (published - no_refresh) / (1 + SHARE * (layers - 1))
    affordable = (target - no_refresh) / one_layer
    share = affordable / layers if search_free else (affordable - 1) / (layers - 1)
    return min(max(share, 0.0), 1.0)
