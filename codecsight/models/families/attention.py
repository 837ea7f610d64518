"""Attention functions for transformers' own ViTs: over cached cells, and within each picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from codecsight.models.vision_kv_cache import VisionKVCache

CACHED_VISION = "codecsight-cached-vision"
"""The name under which transformers finds `attend_cached`."""

_now: ContextVar[tuple[VisionKVCache, Tensor, Iterator[int]]] = ContextVar("_now")


def attend_cached(
    _module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """transformers' form of attention ([1, heads, patches, d] to [1, patches, heads, d]), over all
    that is remembered, once this is. It is called layer by layer.
    """
    memory, rows, layers = _now.get()
    mine = (each[0].transpose(0, 1) for each in (key, value))
    keys, values = (each.transpose(0, 1)[None] for each in memory.update(next(layers), rows, *mine))
    seen = scaled_dot_product_attention(query, keys, values, scale=more["scaling"])
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register(CACHED_VISION, attend_cached)


@contextmanager
def cached_vision_context(config: Any, memory: VisionKVCache, rows: Tensor) -> Iterator[None]:
    """While open, a ViT of this `config` sees one picture, whose patches are those `rows` of it."""
    before, token = config._attn_implementation, _now.set((memory, rows, count()))
    config._attn_implementation = CACHED_VISION
    try:
        yield
    finally:
        config._attn_implementation = before
        _now.reset(token)


BLOCK_DIAGONAL = "codecsight-block-diagonal"
"""The name under which transformers finds `attend_block_diagonal`."""

_lengths: ContextVar[list[int]] = ContextVar("_lengths")


def attend_block_diagonal(
    _module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """transformers' form of attention ([1, heads, patches, d] to [1, patches, heads, d]), within
    each picture of a pack alone.
    """
    pictures = (torch.split(each, _lengths.get(), dim=2) for each in (query, key, value))
    seen = [
        scaled_dot_product_attention(q, k, v, scale=more["scaling"])
        for q, k, v in zip(*pictures, strict=True)
    ]
    return torch.cat(seen, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCK_DIAGONAL, attend_block_diagonal)


@contextmanager
def block_diagonal(config: Any, lengths: list[int]) -> Iterator[None]:
    """While open, pictures of so many patches, side by side, don't see each other."""
    before, token = config._attn_implementation, _lengths.set(lengths)
    config._attn_implementation = BLOCK_DIAGONAL
    try:
        yield
    finally:
        config._attn_implementation = before
        _lengths.reset(token)
