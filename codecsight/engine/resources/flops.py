"""Floating point operations: counted by torch on the model's own calls.

They depend on shapes alone. A ViT call over c cells, w of them wanted, is
o + c * (a + b c) + w * (d + e c) operations: all but attention is per cell, o is for tokens that
come with every picture, and the last layer may go on with the wanted cells alone. Where layers
attend in windows, each pair of strangers saves what a pair costs there. A text call of n
tokens over k keys, r of them read, is n * (a + b k) + r * (d + e k), likewise. So torch's
`FlopCounterMode` counts the smallest calls, once per model, and these identities give every other
shape exactly; the tests hold them against counts of real calls.
Masked attention is counted whole, as the kernels compute it, for us and for the dense twins.
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
    """Operations in the ViT and in the language model; a multiply-add is two."""

    vit: int = 0
    llm: int = 0

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(self.vit + other.vit, self.llm + other.llm)

    @property
    def total(self) -> int:
        """Both together."""
        return self.vit + self.llm


@dataclass(frozen=True, slots=True)
class Work:
    """What was spent, beside two dense twins of the same stream and questions that prune nothing:
    `recompute` encodes and prefills the whole window anew each time it has moved, `once` encodes
    and prefills every slot once.
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
    """What calls of one model cost. Counting takes longer than all else in an engine's
    making, and is done once for all meters of a model.
    """

    def __init__(self, model: VisionLanguageModel) -> None:
        self._strangers = model.masked_pairs
        if model not in _counted:
            _counted[model] = _count(model)
        costs = _counted[model]
        self._vit_pair, self._vit_once = costs.vit_pair, costs.vit_once
        self._vit, self._llm = costs.vit, costs.llm

    def vit(self, kept: Mask, wanted: int | None = None) -> int:
        """One slot of these cells ([rows, cols]), so many of which are wanted (else all)."""
        cells = int(kept.sum())
        own = cells if wanted is None else wanted
        saved = self._strangers(kept) * self._vit_pair
        return bool(cells) * self._vit_once + self._vit.of(cells, own, cells) - saved

    def vit_remembering(self, kept: Mask) -> int:
        """One slot of these cells ([rows, cols]) which see all others as they were left."""
        cells = int(kept.sum())
        return bool(cells) * self._vit_once + self._vit.of(cells, cells, kept.size)

    def llm(self, tokens: int, keys: int, rows: int = 0) -> int:
        """So many tokens against so many keys (themselves included), and rows of logits."""
        return self._llm.of(tokens, rows, keys)


@dataclass(frozen=True, slots=True)
class _Rates:
    """What all cost, and what some of them cost beyond that: each, and for each key it sees."""

    each: int
    each_key: int
    some: int
    some_key: int

    def of(self, count: int, some: int, keys: int) -> int:
        """So many, and some of them, over so many keys."""
        return count * (self.each + keys * self.each_key) + some * (
            self.some + keys * self.some_key
        )


@dataclass(frozen=True, slots=True)
class _Costs:
    """What a pair of strangers saves in the ViT, what a picture costs it, and its cells; and what
    tokens cost the language model.
    """

    vit_pair: int
    vit_once: int
    vit: _Rates
    llm: _Rates


_counted: "WeakKeyDictionary[VisionLanguageModel, _Costs]" = WeakKeyDictionary()


def _count(model: VisionLanguageModel) -> _Costs:
    pair = _window_rate(model)
    return _Costs(pair, *_vit_rates(model, pair), _llm_rates(model))


def _window_rate(model: VisionLanguageModel) -> int:
    """What a pair of cells costs in the layers of the ViT that attend in windows, if any do."""
    near, far = (np.isin(np.arange(16), cells)[None] for cells in ([0, 1], [0, 15]))
    strangers = model.masked_pairs(far)
    if not strangers:
        return 0
    together, apart = (_seeing(model, kept, 2) for kept in (near, far))
    return (together - apart) // strangers


def _vit_rates(model: VisionLanguageModel, window_rate: int) -> tuple[int, _Rates]:
    def cost(cells: int, wanted: int) -> int:
        kept = np.ones((1, cells), np.bool_)
        saved = model.masked_pairs(kept) * window_rate
        return _seeing(model, kept, wanted) + saved

    one, two, three, both, pair = cost(1, 1), cost(2, 1), cost(3, 1), cost(2, 2), cost(3, 2)
    some_key = (pair - three) - (both - two)
    some = both - two - 2 * some_key
    each_key = (three - 2 * two + one) // 2
    each = two - one - 3 * each_key - some_key
    return one - each - each_key - some - some_key, _Rates(each, each_key, some, some_key)


def _llm_rates(model: VisionLanguageModel) -> _Rates:
    def cost(keys: int, rows: int) -> int:
        return count_flops(partial(_prefill, model, keys, rows))

    short, long = cost(1, 0), cost(2, 0)
    read, read_long = cost(1, 1) - short, cost(2, 1) - long
    each_key, some_key = long - short, read_long - read
    return _Rates(short - each_key, each_key, read - some_key, some_key)


def count_flops(call: Callable[[], Any]) -> int:
    """The operations of one call. torch has no formulas of its own for the CPU's attention kernel
    and for experts, and would count nothing for them.
    """
    formulas = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        torch.ops.aten._grouped_mm: _expert_flops,
    }
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=formulas) as count:
        call()
    return int(count.get_total_flops())


def _attention_flops(query: Any, key: Any, *_: Any, **__: Any) -> int:
    """Heads may share keys and values; each query head multiplies all the same."""
    batch, heads, tokens, width = query
    return 2 * 2 * int(batch * heads * tokens * key[2] * width)


def _expert_flops(tokens: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Each of the tokens [n, d] goes through one of the experts' weights [experts, d, out]."""
    return 2 * int(tokens[0] * tokens[1] * weights[2])


def _seeing(model: VisionLanguageModel, kept: Mask, wanted: int) -> int:
    """The operations of a ViT call for that many of the kept cells. What a model looks up for a
    shape of picture once and for all is no part of it, so the first such call is not counted.
    """
    _encode(model, kept, wanted)
    return count_flops(partial(_encode, model, kept, wanted))


@torch.inference_mode()
def _encode(model: VisionLanguageModel, kept: Mask, wanted: int) -> None:
    cells = int(kept.sum())
    patches = np.zeros((cells, model.frames, 3, model.cell, model.cell), np.uint8)
    reasons, times = np.ones(cells, np.uint8), (0.0,) * model.frames
    slot = Slot(SlotKind.DELTA, kept, patches, reasons, times, 0.0)
    model.encode_slots([slot], [np.arange(wanted)])


def _prefill(model: VisionLanguageModel, keys: int, rows: int) -> None:
    """One token."""
    run = Tokens.text(model.layout.prefix.ids[:1].tolist())

    def attend(_layer: int, query: Tensor, key: Tensor, _value: Tensor, _only_read: bool) -> Tensor:
        past = key[:1].expand(keys, -1, -1).transpose(0, 1)[None]
        out = scaled_dot_product_attention(query.transpose(0, 1)[None], past, past, enable_gqa=True)
        return out[0].transpose(0, 1)

    model.forward_packed(run, model.no_cells(), attend, torch.arange(rows))
