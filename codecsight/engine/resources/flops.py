"""Floating point operations, counted by torch on the model's own calls.

They depend on shapes alone. A ViT call over c cells, of which w are wanted, takes

    o + c * (a + b c) + w * (d + e c)       operations

All but attention is per cell; o is for tokens that come with every picture; the last layer may
continue with the wanted cells only. Where layers attend in windows, each masked pair of cells saves
what a pair costs there. A text call of n tokens over k keys, with r rows of logits, takes

    n * (a + b k) + r * (d + e k)           operations

torch's `FlopCounterMode` counts the smallest calls once per model, and these identities give every
other shape exactly; tests compare them with counts of real calls. Example: b is half of the second
difference of the ViT's counts for c = 1, 2 and 3 with w = 1.

Masked attention is counted whole, as the kernels compute it, for the engine and for the dense
baselines alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from codecsight.core.slot import Slot, SlotKind
from codecsight.models.base import VisionLanguageModel
from codecsight.models.prompt import Tokens

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Flops:
    """Operations in the ViT and in the text model; a multiply-add counts as two."""

    vit: int = 0
    llm: int = 0

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(self.vit + other.vit, self.llm + other.llm)

    @property
    def total(self) -> int:
        """Operations in both."""
        return self.vit + self.llm


@dataclass(frozen=True, slots=True)
class Work:
    """Operations `spent`, and those of two dense baselines that get the same stream and questions
    and prune nothing: `recompute` encodes and prefills the whole window each time a stride is
    complete, `once` encodes and prefills every slot once.
    """

    spent: Flops = Flops()
    recompute: Flops = Flops()
    once: Flops = Flops()

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.spent + other.spent,
            self.recompute + other.recompute,
            self.once + other.once,
        )


class FlopMeter:
    """Operations of calls of one model. Counting is the slowest part of constructing an engine, so
    it is done once for all meters of a model.
    """

    def __init__(self, model: VisionLanguageModel) -> None:
        self._masked_pairs = model.masked_pairs
        if model not in _costs_by_model:
            _costs_by_model[model] = _count(model)
        costs = _costs_by_model[model]
        self._vit_pair, self._vit_per_picture = costs.vit_pair, costs.vit_per_picture
        self._vit, self._llm = costs.vit, costs.llm

    def vit(self, kept: Mask, wanted: int | None = None) -> int:
        """A slot of the cells `kept` [rows, cols], of which `wanted` (default: all) go through the
        last layer.
        """
        cells = int(kept.sum())
        wanted = cells if wanted is None else wanted
        saved = self._masked_pairs(kept) * self._vit_pair
        return (
            bool(cells) * self._vit_per_picture + self._vit.operations(cells, wanted, cells) - saved
        )

    def vit_cached(self, kept: Mask) -> int:
        """A slot of the cells `kept` [rows, cols] that attend to the whole cached picture."""
        cells = int(kept.sum())
        return bool(cells) * self._vit_per_picture + self._vit.operations(cells, cells, kept.size)

    def llm(self, tokens: int, keys: int, logits: int = 0) -> int:
        """`tokens` against `keys` (the tokens included), with `logits` rows of logits."""
        return self._llm.operations(tokens, logits, keys)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Operations per item, and per pair of item and key; and what a wanted item (one that goes
    through the last layer, or whose logits are read) costs more, likewise.
    """

    per_item: int
    per_key: int
    per_wanted: int
    per_wanted_key: int

    def operations(self, count: int, wanted: int, keys: int) -> int:
        """`count` items, of which `wanted` cost extra, each over `keys` keys."""
        every_item = count * (self.per_item + keys * self.per_key)
        return every_item + wanted * (self.per_wanted + keys * self.per_wanted_key)


@dataclass(frozen=True, slots=True)
class _Costs:
    """ViT: operations that a masked pair of cells saves, those of every picture, and those of
    cells; text model: those of tokens.
    """

    vit_pair: int
    vit_per_picture: int
    vit: _Rates
    llm: _Rates


_costs_by_model: "WeakKeyDictionary[VisionLanguageModel, _Costs]" = WeakKeyDictionary()


def _count(model: VisionLanguageModel) -> _Costs:
    pair = _window_rate(model)
    return _Costs(pair, *_vit_rates(model, pair), _llm_rates(model))


def _window_rate(model: VisionLanguageModel) -> int:
    """Operations per pair of cells in the ViT's layers that attend in windows; 0 if none do."""
    # Two cells in one window and two in different ones: the same but for the masked pairs.
    near, far = (np.isin(np.arange(16), cells)[None] for cells in ([0, 1], [0, 15]))
    masked_pairs = model.masked_pairs(far)
    if not masked_pairs:
        return 0
    one_window, two_windows = (_vit_flops(model, kept, 2) for kept in (near, far))
    return (one_window - two_windows) // masked_pairs


def _vit_rates(model: VisionLanguageModel, window_rate: int) -> tuple[int, _Rates]:
    def cost(cells: int, wanted: int) -> int:
        kept = np.ones((1, cells), np.bool_)
        saved = model.masked_pairs(kept) * window_rate
        return _vit_flops(model, kept, wanted) + saved

    # Solve the identity of the module's head: a is per_item, b per_key, d per_wanted,
    # e per_wanted_key.
    one, two, three = cost(1, 1), cost(2, 1), cost(3, 1)
    two_wanted, three_wanted = cost(2, 2), cost(3, 2)
    per_wanted_key = (three_wanted - three) - (two_wanted - two)
    per_wanted = two_wanted - two - 2 * per_wanted_key
    per_key = (three - 2 * two + one) // 2
    per_item = two - one - 3 * per_key - per_wanted_key
    return one - per_item - per_key - per_wanted - per_wanted_key, _Rates(
        per_item, per_key, per_wanted, per_wanted_key
    )


def _llm_rates(model: VisionLanguageModel) -> _Rates:
    def cost(keys: int, logits: int) -> int:
        return count_flops(partial(_prefill_one_token, model, keys, logits))

    one_key, two_keys = cost(1, 0), cost(2, 0)
    logit_one_key, logit_two_keys = cost(1, 1) - one_key, cost(2, 1) - two_keys
    per_key, per_wanted_key = two_keys - one_key, logit_two_keys - logit_one_key
    return _Rates(one_key - per_key, per_key, logit_one_key - per_wanted_key, per_wanted_key)


def count_flops(call: Callable[[], Any]) -> int:
    """Operations of one call, counted by torch."""
    # torch has no formulas of its own for the CPU's attention kernel and for experts, and would
    # count nothing for them.
    formulas = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        torch.ops.aten._grouped_mm: _expert_flops,
    }
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=formulas) as count:
        call()
    return int(count.get_total_flops())


def _attention_flops(query: Any, key: Any, *_: Any, **__: Any) -> int:
    """Attention [batch, heads, tokens, width] over key [batch, kv_heads, keys, width]. Query heads
    may share keys and values, but each multiplies on its own.
    """
    batch, heads, tokens, width = query
    return 2 * 2 * int(batch * heads * tokens * key[2] * width)


def _expert_flops(tokens: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Tokens [n, d], each through one of the experts' weights [experts, d, out]."""
    return 2 * int(tokens[0] * tokens[1] * weights[2])


def _vit_flops(model: VisionLanguageModel, kept: Mask, wanted: int) -> int:
    """Operations of a ViT call over the cells `kept`, of which the first `wanted` are wanted."""
    _encode(model, kept, wanted)  # tables that the model builds once per shape are not counted
    return count_flops(partial(_encode, model, kept, wanted))


@torch.inference_mode()
def _encode(model: VisionLanguageModel, kept: Mask, wanted: int) -> None:
    cells = int(kept.sum())
    patches = np.zeros((cells, model.frames, 3, model.cell, model.cell), np.uint8)
    reasons = np.ones(cells, np.uint8)  # any: the ViT does not read them
    times = (0.0,) * model.frames
    slot = Slot(SlotKind.DELTA, kept, patches, reasons, times, 0.0)
    model.encode_slots([slot], [np.arange(wanted)])


def _prefill_one_token(model: VisionLanguageModel, keys: int, logits: int) -> None:
    token = Tokens.text(model.layout.prefix.ids[:1].tolist())

    def attend(
        _layer: int, query: Tensor, key: Tensor, _value: Tensor, _only_logit_tokens: bool
    ) -> Tensor:
        past = key[:1].expand(keys, -1, -1).transpose(0, 1)[None]
        out = scaled_dot_product_attention(query.transpose(0, 1)[None], past, past, enable_gqa=True)
        return out[0].transpose(0, 1)

    model.forward_packed(token, model.no_cells(), attend, torch.arange(logits))
