"""Attention of many sequences side by side, over rows of one pool.

A pack is a list of runs: tokens of one sequence, the pool rows their keys and values go to, and
what they see. Order decides who sees whom: every token stands `at` a place of its sequence, and
every row in view is open from one place on (its own) until it shuts (never, except in a tree of
questions, where a token is seen by its descendants alone). So plain causal runs, chunks, refreshed
slots in the middle of a window and forks of questions are all the same to the kernels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from codecsight.engine.attention.pool import KVPool, Rows
from codecsight.engine.attention.segments import KVCopies, PackedSegment
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

_NONE = np.arange(0)


def forward(
    model: VisionLanguageModel, pool: KVPool, runs: Sequence[PackedSegment], copies: KVCopies
) -> list[Tensor]:
    """One pass over all runs; per run its logits [read, vocab]. Each layer first writes every
    run's keys and values, then makes the copies, then attends: so runs of one pass may see one
    another's tokens.
    """
    tokens = Tokens.join([run.tokens for run in runs])
    cells = CellFeatures.join([run.cells for run in runs])
    starts = np.cumsum([0, *(len(run.tokens) for run in runs)])
    read = np.concatenate(
        [start + np.array(run.read, np.int64) for start, run in zip(starts[:-1], runs, strict=True)]
    )
    kernel = FlexAttention if pool.keys.is_cuda else LoopAttention
    attend = kernel(model, pool, runs, copies)
    logits = model.forward_packed(tokens, cells, attend, torch.from_numpy(read))
    return list(torch.split(logits, [len(run.read) for run in runs]))


class _PackedAttention:
    """What all kernels share: writing a layer's keys and values."""

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        runs: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        self._model, self._pool = model, pool
        self._rows = self._indices([run.rows for run in runs])
        self._source, self._target = (self._indices([r]) for r in (copies.source, copies.target))
        self._rotation = model.rotation(torch.from_numpy(copies.by))

    def _indices(self, parts: Sequence[Rows]) -> Tensor:
        whole = np.concatenate([_NONE, *parts])
        return torch.from_numpy(whole).to(self._pool.keys.device)

    def _write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the layer's whole store, each [rows, heads, d]."""
        keys, values = self._pool.keys[layer], self._pool.values[layer]
        keys.index_copy_(0, self._rows, key)
        values.index_copy_(0, self._rows, value)
        if len(self._source):
            source = keys.index_select(0, self._source).transpose(0, 1)
            moved = self._model.rotate_keys(source, self._rotation).transpose(0, 1)
            keys.index_copy_(0, self._target, moved)
            values.index_copy_(0, self._target, values.index_select(0, self._source))
        return keys, values


class LoopAttention(_PackedAttention):
    """One kernel call per run. On the CPU this takes half the time of one padded call for all:
    the rows of short runs are cheap to gather, and nothing is computed for padding.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        runs: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        super().__init__(model, pool, runs, copies)
        self._lists = [self._list(asking) for asking in (runs, reading(runs))]

    def _list(self, runs: Sequence[PackedSegment]) -> "_CallList":
        store = self._pool.keys
        masks = [bias(run, store.dtype).to(store.device) for run in runs]
        queries, keys = [len(run.at) for run in runs], [len(run.view) for run in runs]
        return _CallList(self._indices([run.view.rows for run in runs]), queries, keys, masks)

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, only_read: bool
    ) -> Tensor:
        """[asking, heads, d] to the same."""
        keys, values = self._write(layer, key, value)
        calls = self._lists[only_read]
        if not calls.masks:
            return query
        seen = zip(
            torch.split(query.transpose(0, 1), calls.queries, dim=1),
            torch.split(keys.index_select(0, calls.rows).transpose(0, 1), calls.keys, dim=1),
            torch.split(values.index_select(0, calls.rows).transpose(0, 1), calls.keys, dim=1),
            calls.masks,
            strict=True,
        )
        out = [
            scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask, enable_gqa=True)
            for q, k, v, mask in seen
        ]
        return torch.cat(out, dim=2)[0].transpose(0, 1)


@dataclass(frozen=True, slots=True)
class _CallList:
    """A kernel call per run: so many `queries` each, so many `keys` each, those in `rows` [sum of
    keys], and `masks` [queries, keys].
    """

    rows: Tensor
    queries: list[int]
    keys: list[int]
    masks: list[Tensor]


def reading(runs: Sequence[PackedSegment]) -> list[PackedSegment]:
    """The tokens that still ask in a model's last layer: those after which logits are read."""
    asking = [run for run in runs if run.read]
    return [replace(run, at=run.at[np.array(run.read)]) for run in asking]


def bias(run: PackedSegment, dtype: torch.dtype) -> Tensor:
    """Who sees whom, as a number to be added: [asking, keys] of 0 or -inf."""
    at = run.at[:, None]
    seen = (run.view.opens <= at) & (at < run.view.shuts)
    return torch.from_numpy(np.where(seen, _SEEN, _UNSEEN)).to(dtype)


_SEEN, _UNSEEN = np.float32(0), np.float32(-np.inf)


class FlexAttention(_PackedAttention):
    """One kernel call for all runs: the rows in view are gathered side by side, and blocks of
    keys that no token of a block of queries sees are skipped. For CUDA; runs anywhere.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pool: KVPool,
        runs: Sequence[PackedSegment],
        copies: KVCopies,
    ) -> None:
        super().__init__(model, pool, runs, copies)
        asking = (runs, reading(runs))
        self._seen = [self._indices([run.view.rows for run in some]) for some in asking]
        self._masks = [self._mask(some) if some else None for some in asking]

    def _mask(self, runs: Sequence[PackedSegment]) -> Any:
        """Who sees whom, by blocks of [asking, keys]."""
        from torch.nn.attention.flex_attention import create_block_mask

        device = self._pool.keys.device
        asks = np.repeat(np.arange(len(runs)), [len(run.at) for run in runs])
        holds = np.repeat(np.arange(len(runs)), [len(run.view) for run in runs])
        query_run, key_run = (torch.from_numpy(each).to(device) for each in (asks, holds))
        at = self._indices([run.at for run in runs])
        opens = self._indices([run.view.opens for run in runs])
        shuts = self._indices([run.view.shuts for run in runs])

        def seen(_batch: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
            mine = query_run[q] == key_run[k]
            return mine & (opens[k] <= at[q]) & (at[q] < shuts[k])

        return create_block_mask(seen, None, None, len(at), len(opens), device=device)

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, only_read: bool
    ) -> Tensor:
        """[asking, heads, d] to the same."""
        keys, values = self._write(layer, key, value)
        rows, mask = self._seen[only_read], self._masks[only_read]
        if mask is None:
            return query
        out = _flex(query.is_cuda)(
            query.transpose(0, 1)[None],
            keys.index_select(0, rows).transpose(0, 1)[None],
            values.index_select(0, rows).transpose(0, 1)[None],
            block_mask=mask,
            enable_gqa=True,
        )
        attended: Tensor = out[0].transpose(0, 1)
        return attended


@lru_cache(maxsize=2)
def _flex(compiled: bool) -> Callable[..., Any]:
    """Compiled once for all shapes; as plain operations where there is nothing to compile for."""
    from torch.nn.attention.flex_attention import flex_attention

    kernel: Callable[..., Any] = flex_attention
    return torch.compile(kernel, dynamic=True) if compiled else kernel
