"""Attention over packed segments of many sequences, with keys and values in one pool.

Example with two segments in one call, 3 + 2 tokens, whose spans hold 7 and 5 keys:

    tokens        [5]                       all segments, one after another
    query         [5, heads, head_dim]      per layer, from the model
    key, value    [5, kv_heads, head_dim]   written to the pool's indices of the segments
    span keys     [7 + 5]                   gathered from the pool

LoopAttention makes one kernel call per segment ([3 x 7], then [2 x 5]); FlexAttention makes one
call with a block mask over [5 x 12]. Both implement the visibility rule of `segments`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from codecsight.engine.attention.pool import KVIndices, KVPool
from codecsight.engine.attention.segments import KVCopies, PackedSegment
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

_NONE = np.arange(0)


def forward(
    model: VisionLanguageModel, pool: KVPool, segments: Sequence[PackedSegment], copies: KVCopies
) -> list[Tensor]:
    """Run the text model once over all segments; returns logits [logit_indices, vocab] of each.

    Each layer first writes the keys and values of all segments, then makes the copies, then
    attends. So segments of one call may attend to each other's tokens, and copies include what
    this call computed.
    """
    tokens = Tokens.join([segment.tokens for segment in segments])
    cells = CellFeatures.join([segment.cells for segment in segments])
    starts = np.cumsum([0, *(len(segment.tokens) for segment in segments)])
    # `logit_indices` count within a segment; the model counts within the pack.
    logit_indices = np.concatenate(
        [
            start + np.array(segment.logit_indices, np.int64)
            for start, segment in zip(starts[:-1], segments, strict=True)
        ]
    )
    kernel = FlexAttention if pool.keys.is_cuda else LoopAttention
    attend = kernel(model, pool, segments, copies)
    logits = model.forward_packed(tokens, cells, attend, torch.from_numpy(logit_indices))
    return list(torch.split(logits, [len(segment.logit_indices) for segment in segments]))


class _PagedAttention:
    """The part that both kernels share: writing a layer's keys and values to the pool.

    Index tensors are built once per call of the model and reused by every layer.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        segments: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        self._model, self._pool = model, pool
        self._written = self._indices([segment.kv_indices for segment in segments])
        self._source, self._target = self._indices([copies.source]), self._indices([copies.target])
        self._rotation = model.rotation(torch.from_numpy(copies.shift))

    def _indices(self, parts: Sequence[KVIndices]) -> Tensor:
        joined = np.concatenate([_NONE, *parts])
        return torch.from_numpy(joined).to(self._pool.keys.device)

    def _write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer; returns its whole store, keys and values [tokens, kv_heads, d]."""
        keys, values = self._pool.keys[layer], self._pool.values[layer]
        keys.index_copy_(0, self._written, key)
        values.index_copy_(0, self._written, value)
        if len(self._source):
            # After the write: a slot that was refreshed in this call is copied as refreshed.
            source = keys.index_select(0, self._source).transpose(0, 1)
            rotated = self._model.rotate_keys(source, self._rotation).transpose(0, 1)
            keys.index_copy_(0, self._target, rotated)
            values.index_copy_(0, self._target, values.index_select(0, self._source))
        return keys, values


class LoopAttention(_PagedAttention):
    """One kernel call per segment, for the CPU.

    It takes half the time of one padded call for all segments: the keys of short segments are
    cheap to gather, and nothing is computed for padding.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        segments: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        super().__init__(model, pool, segments, copies)
        # Two plans, indexed by `only_logit_tokens`: all tokens, and those of the last layer.
        self._plans = [self._plan(segments), self._plan(segments_with_logits(segments))]

    def _plan(self, segments: Sequence[PackedSegment]) -> "_SegmentCalls":
        store = self._pool.keys
        masks = [attention_bias(segment, store.dtype).to(store.device) for segment in segments]
        return _SegmentCalls(
            kv_indices=self._indices([segment.span.kv_indices for segment in segments]),
            queries=[len(segment.positions) for segment in segments],
            keys=[len(segment.span) for segment in segments],
            masks=masks,
        )

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, only_logit_tokens: bool
    ) -> Tensor:
        """Attention output [queries, heads, d] for query [queries, heads, d]."""
        keys, values = self._write(layer, key, value)
        plan = self._plans[only_logit_tokens]
        if not plan.masks:
            return query  # no segment wants logits: zero queries
        # One gather for all segments, then views of it: [heads, tokens, d] for each.
        calls = zip(
            torch.split(query.transpose(0, 1), plan.queries, dim=1),
            torch.split(keys.index_select(0, plan.kv_indices).transpose(0, 1), plan.keys, dim=1),
            torch.split(values.index_select(0, plan.kv_indices).transpose(0, 1), plan.keys, dim=1),
            plan.masks,
            strict=True,
        )
        out = [
            scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask, enable_gqa=True)
            for q, k, v, mask in calls
        ]
        return torch.cat(out, dim=2)[0].transpose(0, 1)


@dataclass(frozen=True, slots=True)
class _SegmentCalls:
    """A kernel call per segment: its number of `queries` and `keys`, its `masks` entry
    [queries, keys], and its part of the gathered `kv_indices` [sum of keys].
    """

    kv_indices: Tensor
    queries: list[int]
    keys: list[int]
    masks: list[Tensor]


def segments_with_logits(segments: Sequence[PackedSegment]) -> list[PackedSegment]:
    """The segments that want logits, with only the tokens that want them as queries.

    In the last layer all tokens still write keys and values, but only these go on as queries.
    """
    chosen = [segment for segment in segments if segment.logit_indices]
    return [
        replace(segment, positions=segment.positions[np.array(segment.logit_indices)])
        for segment in chosen
    ]


def attention_bias(segment: PackedSegment, dtype: torch.dtype) -> Tensor:
    """Additive mask [queries, keys]: 0 where the key is visible, -inf where it is not."""
    positions = segment.positions[:, None]
    visible = (segment.span.start <= positions) & (positions < segment.span.end)
    return torch.from_numpy(np.where(visible, _VISIBLE, _HIDDEN)).to(dtype)


_VISIBLE, _HIDDEN = np.float32(0), np.float32(-np.inf)


class FlexAttention(_PagedAttention):
    """One kernel call for all segments, for CUDA (it runs on any device).

    The keys of all spans are gathered side by side, and blocks of keys that no query of a block
    may attend to are skipped.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        segments: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        super().__init__(model, pool, segments, copies)
        # Two plans, indexed by `only_logit_tokens`, as in LoopAttention.
        plans = (segments, segments_with_logits(segments))
        self._gathered = [self._indices([one.span.kv_indices for one in plan]) for plan in plans]
        self._masks = [self._mask(plan) if plan else None for plan in plans]

    def _mask(self, segments: Sequence[PackedSegment]) -> Any:
        """Block mask over [queries, keys] of all segments."""
        from torch.nn.attention.flex_attention import create_block_mask  # loads the compiler

        device = self._pool.keys.device
        numbers = np.arange(len(segments))
        query_owners = np.repeat(numbers, [len(one.positions) for one in segments])
        key_owners = np.repeat(numbers, [len(one.span) for one in segments])
        query_segment, key_segment = (
            torch.from_numpy(owners).to(device) for owners in (query_owners, key_owners)
        )
        positions = self._indices([one.positions for one in segments])
        start = self._indices([one.span.start for one in segments])
        end = self._indices([one.span.end for one in segments])

        def visible(_batch: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
            same_segment = query_segment[q] == key_segment[k]
            return same_segment & (start[k] <= positions[q]) & (positions[q] < end[k])

        return create_block_mask(visible, None, None, len(positions), len(start), device=device)

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, only_logit_tokens: bool
    ) -> Tensor:
        """Attention output [queries, heads, d] for query [queries, heads, d]."""
        keys, values = self._write(layer, key, value)
        kv_indices, mask = self._gathered[only_logit_tokens], self._masks[only_logit_tokens]
        if mask is None:
            return query  # no segment wants logits: zero queries
        out = _flex(query.is_cuda)(
            query.transpose(0, 1)[None],
            keys.index_select(0, kv_indices).transpose(0, 1)[None],
            values.index_select(0, kv_indices).transpose(0, 1)[None],
            block_mask=mask,
            enable_gqa=True,
        )
        attended: Tensor = out[0].transpose(0, 1)
        return attended


@lru_cache(maxsize=2)
def _flex(compiled: bool) -> Callable[..., Any]:
    """The flex attention kernel, `compiled` once for all shapes or as plain operations."""
    from torch.nn.attention.flex_attention import flex_attention  # loads the compiler

    kernel: Callable[..., Any] = flex_attention
    return torch.compile(kernel, dynamic=True) if compiled else kernel
