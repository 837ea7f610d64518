"""Floating point operations: counted by torch on the model's own calls.

They depend on shapes alone. A ViT call over c cells is o + c * (a + b c) operations (all but
attention is per cell; o is for tokens that come with every picture), a text call of n tokens over
k keys n * (a + b k), and r rows of logits r * c more. So torch's `FlopCounterMode` counts the
smallest calls, once per model, and these identities give every other shape exactly; the tests hold
them against counts of real calls.
Masked attention is counted whole, as the kernels compute it, for us and for the dense twins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from codecsight.change.slot import Slot, SlotKind
from codecsight.models.base import VisionLanguageModel
from codecsight.models.prompt import Tokens


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
    """What calls of one model cost."""

    def __init__(self, model: VisionLanguageModel) -> None:
        one, two, three = (counted(partial(_encode, model, cells)) for cells in (1, 2, 3))
        self._vit_pair = (three - 2 * two + one) // 2
        self._vit_cell = two - one - 3 * self._vit_pair
        self._vit_once = one - self._vit_cell - self._vit_pair
        short, long = (counted(partial(_prefill, model, 1, keys, 0)) for keys in (1, 2))
        self._llm_pair = long - short
        self._llm_token = short - self._llm_pair
        self._llm_row = counted(partial(_prefill, model, 1, 1, 1)) - short

    def vit(self, cells: int) -> int:
        """One slot of so many kept cells."""
        return bool(cells) * self._vit_once + cells * (self._vit_cell + cells * self._vit_pair)

    def llm(self, tokens: int, keys: int, rows: int = 0) -> int:
        """So many tokens against so many keys (themselves included), and rows of logits."""
        return tokens * (self._llm_token + keys * self._llm_pair) + rows * self._llm_row


def counted(call: Callable[[], Any]) -> int:
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


def _encode(model: VisionLanguageModel, cells: int) -> None:
    patches = np.zeros((cells, model.frames, 3, model.cell, model.cell), np.uint8)
    kept, reasons = np.ones((1, cells), np.bool_), np.ones(cells, np.uint8)
    model.encode_cells(Slot(SlotKind.ANCHOR, kept, patches, reasons, (0.0,) * model.frames, 0.0))


def _prefill(model: VisionLanguageModel, tokens: int, keys: int, rows: int) -> None:
    run = Tokens.text(model.layout.prefix.ids[:1].tolist() * tokens)

    def attend(_layer: int, query: Tensor, key: Tensor, _value: Tensor) -> Tensor:
        past = key[:1].expand(keys, -1, -1).transpose(0, 1)[None]
        out = scaled_dot_product_attention(query.transpose(0, 1)[None], past, past, enable_gqa=True)
        return out[0].transpose(0, 1)

    model.forward_packed(run, model.no_cells(), attend, torch.arange(rows))
