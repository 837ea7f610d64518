"""CacheBlend on video windows: of the tokens that are reused, those whose keys are farthest from
what they would be now are computed again (Yao et al., EuroSys 2025; there for texts).

The first layer is computed for every token, to find them: that is on its account, unless the search
is to be free. Built on the engine's naive twin, whose cache is contiguous.
"""

import math

import numpy as np
import torch

from codecsight.core.grid import PatchGrid
from codecsight.engine.config import EngineConfig
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.engine.naive.session import NaiveSession, Slide
from codecsight.engine.resources.flops import Flops, Work
from codecsight.engine.window import CachedSlot
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

SHARE = 0.15
"""Of the reused tokens, as CacheBlend's authors do."""


class CacheBlendSession(NaiveSession):
    """Refreshes tokens instead of slots."""

    share, search_free = SHARE, False
    _slid = False

    def _make_room(self, entry: CachedSlot) -> Slide:
        slide = super()._make_room(entry)
        self._slid = bool(slide.evicted) and not slide.rebased
        return slide

    def _prefill_slots(self, indices: list[int]) -> int:
        if not self._slid:
            return super()._prefill_slots(indices)
        slots, prefix = self.window.slots, len(self.window.prefix)
        tokens = Tokens.join([slot.tokens.shifted(slot.start) for slot in slots])
        cells = CellFeatures.join([slot.features for slot in slots])
        old = len(tokens) - len(slots[-1].tokens)
        count = math.ceil(self.share * old)
        again = np.sort(np.argsort(-self._deviation(tokens, cells, count)[:old])[:count])
        chosen = np.concatenate([again, np.arange(old, len(tokens))])
        visual = tokens.visual.numpy()
        which = (np.cumsum(visual) - 1)[chosen][visual[chosen]]
        places = torch.from_numpy(prefix + chosen)
        self._prefill(tokens.select(chosen), cells.select(which), places)
        self.window.mark_prefilled([len(slots) - 1])
        return len(chosen)

    def _deviation(self, tokens: Tokens, cells: CellFeatures, count: int) -> np.ndarray:
        """How far each token's key of the second layer is from what it would be now: the first that
        knows of other tokens. The first layer is paid for here, but for the `count` tokens that are
        computed again anyhow, and the newest slot's.
        """
        prefix = self.window.prefix
        whole = Tokens.join([prefix.shifted(self.window.prefix_start), tokens])
        fork, size = self.kv.fork(0), len(whole)
        causal = torch.ones(size, size, dtype=torch.bool).tril()
        self.model.forward(whole, cells, fork, causal, torch.arange(0))
        fresh = fork._layers[1][0][0, :, len(prefix) :]
        held = self.kv.keys[1, :, len(prefix) : len(prefix) + fresh.shape[1]]
        others = len(tokens) - count - len(self.window.slots[-1].tokens)
        first_layer = self.meter.llm(others, size) // len(self.kv.keys)
        self.spend(Work(spent=Flops(llm=0 if self.search_free else first_layer)))
        deviation: np.ndarray = (fresh - held).square().sum(dim=(0, 2)).numpy()
        return deviation


class CacheBlendEngine(NaiveEngine):
    """One stream and one slot at a time; `share` of the reused tokens is refreshed."""

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
        """Let a stream in."""
        session = CacheBlendSession(stream, self.model, grid, self.config, self._meter)
        session.share, session.search_free = self._share, self._search_free
        self._sessions[stream] = session


def share_for_budget(
    free: int, published: int, target: int, layers: int, search_free: bool
) -> float:
    """Which share of the reused tokens may be refreshed for `target` operations of a language model
    of so many layers, which spends `free` when nothing is refreshed and `published` with SHARE.

    With f for all of those tokens in one layer, a share s costs f (1 + s (layers - 1)): the search
    sees all in the first layer, the others see s. Without the search it is f s layers.
    """
    one_layer = (published - free) / (1 + SHARE * (layers - 1))
    affordable = (target - free) / one_layer
    share = affordable / layers if search_free else (affordable - 1) / (layers - 1)
    return min(max(share, 0.0), 1.0)
