"""Attention functions that transformers' own ViTs call instead of SDPA.

`cached_vision_context` makes a slot's patches attend to the cached patches of the whole picture. It
is the plain and slow counterpart of `packed_vision.py`, used by the naive engine; tests require
that both agree. `block_diagonal` packs several pictures into one sequence without attention between
them: two pictures of 3 and 2 patches have the mask

    1 1 1 . .
    1 1 1 . .
    1 1 1 . .
    . . . 1 1
    . . . 1 1
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

from codecsight.models.vision_kv_cache import VisionKVCache

CACHED_VISION = "codecsight-cached-vision"
"""Name under which `attend_cached` is registered with transformers."""

# transformers gives an attention function no way to pass more arguments, hence context variables.
_cache: ContextVar[tuple[VisionKVCache, Tensor, Iterator[int]]] = ContextVar("_cache")


def attend_cached(
    _module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """Attention over the cached patches, after the new ones were written into the cache.

    The signature is that of transformers: [1, heads, patches, d] to [1, patches, heads, d]. Layers
    are counted by the calls, which come in order.
    """
    cache, patches, layers = _cache.get()
    new = (each[0].transpose(0, 1) for each in (key, value))
    updated = cache.update(next(layers), patches, *new)
    keys, values = (each.transpose(0, 1)[None] for each in updated)
    attended = scaled_dot_product_attention(query, keys, values, scale=more["scaling"])
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(CACHED_VISION, attend_cached)


@contextmanager
def cached_vision_context(config: Any, cache: VisionKVCache, patches: Tensor) -> Iterator[None]:
    """Within this context a ViT with this `config` encodes one picture with `cache`; `patches` are
    the indices of its input patches in the picture.
    """
    before, token = config._attn_implementation, _cache.set((cache, patches, count()))
    config._attn_implementation = CACHED_VISION
    try:
        yield
    finally:
        config._attn_implementation = before
        _cache.reset(token)


BLOCK_DIAGONAL = "codecsight-block-diagonal"
"""Name under which `attend_block_diagonal` is registered with transformers."""

_lengths: ContextVar[list[int]] = ContextVar("_lengths")


def attend_block_diagonal(
    _module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """Attention within each picture of a pack.

    The signature is that of transformers: [1, heads, patches, d] to [1, patches, heads, d].
    """
    pictures = (torch.split(each, _lengths.get(), dim=2) for each in (query, key, value))
    attended = [
        scaled_dot_product_attention(q, k, v, scale=more["scaling"])
        for q, k, v in zip(*pictures, strict=True)
    ]
    return torch.cat(attended, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCK_DIAGONAL, attend_block_diagonal)


@contextmanager
def block_diagonal(config: Any, lengths: list[int]) -> Iterator[None]:
    """Within this context a ViT with this `config` takes concatenated pictures with these numbers
    of patches, and its attention is block-diagonal.
    """
    before, token = config._attn_implementation, _lengths.set(lengths)
    config._attn_implementation = BLOCK_DIAGONAL
    try:
        yield
    finally:
        config._attn_implementation = before
        _lengths.reset(token)
