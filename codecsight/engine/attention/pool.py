"""Keys and values of all streams: one store of fixed size, handed out in blocks.

A token occupies one index of the store. Index 37 is offset 5 of block 2, with 16 tokens a block:

    keys    [layers, blocks * 16, heads, head_dim]
    values  [layers, blocks * 16, heads, head_dim]

A sequence is an array of such indices in any order, so evicting tokens from the middle of a window
moves no keys: its indices are removed from the array and given back.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from codecsight.engine.errors import EngineError
from codecsight.models.base import KVShape

KVIndices = NDArray[np.int64]
"""Indices into the store [n], one per token: block * BLOCK_TOKENS + offset in the block."""

BLOCK_TOKENS = 16
"""Tokens in a KV block."""


def blocks_for(tokens: int) -> int:
    """Number of KV blocks that hold `tokens` tokens."""
    return math.ceil(tokens / BLOCK_TOKENS)


class PoolExhausted(EngineError):  # noqa: N818 - the caller evicts, or rejects a stream
    """Fewer blocks are free than requested; nothing was allocated."""


class KVPool:
    """`keys` and `values` are [layers, tokens, heads, head_dim], allocated once."""

    def __init__(self, shape: KVShape, num_blocks: int) -> None:
        size = (shape.layers, num_blocks * BLOCK_TOKENS, shape.heads, shape.head_dim)
        self.keys = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.num_blocks = num_blocks
        self._free = list(range(num_blocks - 1, -1, -1))

    @property
    def free_blocks(self) -> int:
        """Number of unallocated blocks."""
        return len(self._free)

    @property
    def block_bytes(self) -> int:
        """Size of a block: keys and values of all layers."""
        return (self.keys.nbytes + self.values.nbytes) // self.num_blocks

    def allocate(self, count: int) -> list[int]:
        """Allocate `count` blocks. Raises PoolExhausted."""
        if count > len(self._free):
            raise PoolExhausted(f"{count} KV blocks are needed and {len(self._free)} are free")
        return [self._free.pop() for _ in range(count)]

    def free(self, blocks: list[int]) -> None:
        """Return blocks to the pool."""
        self._free.extend(blocks)


class IndexAllocator:
    """The blocks of one owner, handed out token by token.

    A freed index is used again before a new block is allocated, and a block returns to the pool
    when its last index is freed. So an owner never holds more blocks than its largest number of
    tokens required, however long it lives and in whatever order it frees them.
    """

    def __init__(self, pool: KVPool) -> None:
        self._pool = pool
        self._spare = np.arange(0)
        self.blocks = 0

    @property
    def tokens(self) -> int:
        """Number of allocated indices."""
        return self.blocks * BLOCK_TOKENS - len(self._spare)

    def blocks_needed(self, tokens: int) -> int:
        """Blocks that `allocate(tokens)` would take from the pool."""
        return blocks_for(max(tokens - len(self._spare), 0))

    def allocate(self, count: int) -> KVIndices:
        """Allocate `count` indices. Raises PoolExhausted."""
        new_blocks = np.array(self._pool.allocate(self.blocks_needed(count)), np.int64)
        self.blocks += len(new_blocks)
        new = (new_blocks[:, None] * BLOCK_TOKENS + np.arange(BLOCK_TOKENS)).ravel()
        available = np.concatenate([self._spare, new])
        self._spare = available[count:]
        return available[:count]

    def free(self, indices: KVIndices) -> None:
        """Free these indices, and return blocks that became empty to the pool."""
        spare = np.sort(np.concatenate([self._spare, indices]))
        # A block is empty where 16 consecutive sorted spare indices begin at a block boundary and
        # span exactly one block: indices are unique, so nothing in between can be missing.
        first, last = spare[: 1 - BLOCK_TOKENS], spare[BLOCK_TOKENS - 1 :]
        is_empty = (first % BLOCK_TOKENS == 0) & (last - first == BLOCK_TOKENS - 1)
        starts = np.flatnonzero(is_empty)
        remains = np.ones(len(spare), np.bool_)
        remains[(starts[:, None] + np.arange(BLOCK_TOKENS)).ravel()] = False
        self._spare = spare[remains]
        self._pool.free((spare[starts] // BLOCK_TOKENS).tolist())
        self.blocks -= len(starts)
