"""transformers' own ViT, told to attend to what it left of other cells before: plain and slow, and
what the packed one (`packed_vision.py`) is held against.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from codecsight.models.base import CellMemory

REMEMBERING = "codecsight-remembering"
"""The name under which transformers finds `attend_remembering`."""

_now: ContextVar[tuple[CellMemory, Tensor, Iterator[int]]] = ContextVar("_now")


def attend_remembering(
    _module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """transformers' form of attention ([1, heads, patches, d] to [1, patches, heads, d]), over all
    that is remembered, once this is. It is called layer by layer.
    """
    memory, rows, layers = _now.get()
    mine = (each[0].transpose(0, 1) for each in (key, value))
    keys, values = (each.transpose(0, 1)[None] for each in memory.take(next(layers), rows, *mine))
    seen = scaled_dot_product_attention(query, keys, values, scale=more["scaling"])
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register(REMEMBERING, attend_remembering)


@contextmanager
def remembering(config: Any, memory: CellMemory, rows: Tensor) -> Iterator[None]:
    """While open, a ViT of this `config` sees one picture, whose patches are those `rows` of it."""
    before, token = config._attn_implementation, _now.set((memory, rows, count()))
    config._attn_implementation = REMEMBERING
    try:
        yield
    finally:
        config._attn_implementation = before
        _now.reset(token)
