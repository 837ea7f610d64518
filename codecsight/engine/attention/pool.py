"""Keys and values of all streams: one store of fixed size, handed out in blocks."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from codecsight.engine.errors import EngineError
from codecsight.models.base import KVShape

Rows = NDArray[np.int64]
"""Places in the store, one per token: block * BLOCK_TOKENS + place in the block."""


BLOCK_TOKENS = 16
"""Tokens in a KV block."""


class PoolExhausted(EngineError):  # noqa: N818 - the caller makes room, or turns a stream away
    """There are fewer free blocks than asked for; nothing was taken."""


def blocks_for(tokens: int) -> int:
    """KV blocks that so many tokens take."""
    return math.ceil(tokens / BLOCK_TOKENS)


class KVPool:
    """`keys` and `values` are [layers, rows, heads, head_dim], allocated once."""

    def __init__(self, shape: KVShape, count: int) -> None:
        size = (shape.layers, count * BLOCK_TOKENS, shape.heads, shape.head_dim)
        self.keys = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.num_blocks = count
        self._free = list(range(count - 1, -1, -1))

    @property
    def free_blocks(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    @property
    def block_bytes(self) -> int:
        """What a block costs, keys and values of all layers."""
        return (self.keys.nbytes + self.values.nbytes) // self.num_blocks

    def allocate(self, count: int) -> list[int]:
        """Take blocks out. Raises PoolExhausted."""
        if count > len(self._free):
            raise PoolExhausted(f"{count} KV blocks are needed and {len(self._free)} are free")
        return [self._free.pop() for _ in range(count)]

    def free(self, blocks: list[int]) -> None:
        """Put blocks back."""
        self._free.extend(blocks)


class BlockTable:
    """The blocks of one holder, handed out by the row. A row that is given back is used again
    before a new block is taken, and a block goes back to the pool with its last row: what is held
    never exceeds what the fullest moment needed, however long the holder lives.
    """

    def __init__(self, pool: KVPool) -> None:
        self._pool = pool
        self._spare = np.arange(0)
        self.blocks = 0

    @property
    def tokens(self) -> int:
        """Rows in use."""
        return self.blocks * BLOCK_TOKENS - len(self._spare)

    def missing(self, rows: int) -> int:
        """Blocks that must be taken from the pool before so many rows can be."""
        return blocks_for(max(rows - len(self._spare), 0))

    def allocate(self, count: int) -> Rows:
        """Rows to write to. Raises PoolExhausted."""
        fresh = np.array(self._pool.allocate(self.missing(count)), np.int64)
        self.blocks += len(fresh)
        new = (fresh[:, None] * BLOCK_TOKENS + np.arange(BLOCK_TOKENS)).ravel()
        ready = np.concatenate([self._spare, new])
        self._spare = ready[count:]
        return ready[:count]

    def free(self, rows: Rows) -> None:
        """These rows are free."""
        spare = np.sort(np.concatenate([self._spare, rows]))
        first, last = spare[: 1 - BLOCK_TOKENS], spare[BLOCK_TOKENS - 1 :]
        whole = (first % BLOCK_TOKENS == 0) & (last - first == BLOCK_TOKENS - 1)
        starts = np.flatnonzero(whole)  # of blocks that nobody uses a row of
        stays = np.ones(len(spare), np.bool_)
        stays[(starts[:, None] + np.arange(BLOCK_TOKENS)).ravel()] = False
        self._spare = spare[stays]
        self._pool.free((spare[starts] // BLOCK_TOKENS).tolist())
        self.blocks -= len(starts)
