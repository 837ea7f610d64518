import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codecsight.engine.attention.pool import IndexAllocator, KVPool, PoolExhausted
from codecsight.models.base import KVShape

SHAPE = KVShape(layers=1, heads=1, head_dim=2, dtype=torch.float32, device=torch.device("cpu"))


def test_a_block_is_allocated_when_needed_and_returns_with_its_last_index() -> None:
    pool = KVPool(SHAPE, 4)
    table = IndexAllocator(pool)
    first = table.allocate(10)
    assert (pool.free_blocks, table.blocks, table.tokens) == (3, 1, 10)
    second = table.allocate(10)
    assert (pool.free_blocks, table.tokens) == (2, 20)
    table.free(first)
    assert pool.free_blocks == 2  # the second allocation began in the first block
    table.free(second)
    assert (pool.free_blocks, table.blocks, table.tokens) == (4, 0, 0)


def test_freed_indices_are_used_before_a_new_block() -> None:
    pool = KVPool(SHAPE, 4)
    table = IndexAllocator(pool)
    indices = table.allocate(32)
    table.free(indices[::2])
    assert set(table.allocate(16)) == set(indices[::2])
    assert table.blocks == 2


def test_an_empty_pool_raises_and_allocates_nothing() -> None:
    pool = KVPool(SHAPE, 2)
    one, other = IndexAllocator(pool), IndexAllocator(pool)
    one.allocate(20)
    with pytest.raises(PoolExhausted, match="1 KV blocks are needed and 0 are free"):
        other.allocate(1)
    assert (other.blocks, other.tokens, one.blocks_needed(12), one.blocks_needed(13)) == (
        0,
        0,
        0,
        1,
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.booleans()), max_size=60))
def test_owners_never_share_an_index_nor_hold_more_than_their_largest_size_required(
    moves: list[tuple[int, int, bool]],
) -> None:
    pool = KVPool(SHAPE, 64)
    tables = [IndexAllocator(pool) for _ in range(3)]
    held: list[list[int]] = [[], [], []]
    largest = [0, 0, 0]
    random = np.random.default_rng(0)
    for owner, count, take in moves:
        table, indices = tables[owner], held[owner]
        if take and table.blocks_needed(count) <= pool.free_blocks:
            indices += table.allocate(count).tolist()
        elif not take:
            random.shuffle(indices)
            table.free(np.array(indices[:count], np.int64))
            del indices[:count]
        largest[owner] = max(largest[owner], len(indices))
        all_indices = [index for one in held for index in one]
        assert len(set(all_indices)) == len(all_indices)
        assert table.tokens == len(indices)
        assert table.blocks * 16 < largest[owner] + 16
        assert pool.free_blocks + sum(one.blocks for one in tables) == 64
    for table, indices in zip(tables, held, strict=True):
        table.free(np.array(indices, np.int64))
    assert pool.free_blocks == 64
