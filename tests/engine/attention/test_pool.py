import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codecsight.engine.attention.pool import BlockTable, KVPool, PoolExhausted
from codecsight.models.base import KVShape

SHAPE = KVShape(layers=1, heads=1, head_dim=2, dtype=torch.float32, device=torch.device("cpu"))


def test_a_block_is_taken_when_it_is_needed_and_goes_back_with_its_last_row() -> None:
    pool = KVPool(SHAPE, 4)
    table = BlockTable(pool)
    first = table.allocate(10)
    assert (pool.free_blocks, table.blocks, table.tokens) == (3, 1, 10)
    second = table.allocate(10)
    assert (pool.free_blocks, table.tokens) == (2, 20)
    table.free(first)
    assert pool.free_blocks == 2  # the second run began in the first block
    table.free(second)
    assert (pool.free_blocks, table.blocks, table.tokens) == (4, 0, 0)


def test_rows_that_were_given_back_are_used_before_a_new_block() -> None:
    pool = KVPool(SHAPE, 4)
    table = BlockTable(pool)
    rows = table.allocate(32)
    table.free(rows[::2])
    assert set(table.allocate(16)) == set(rows[::2])
    assert table.blocks == 2


def test_an_empty_pool_says_so_and_nothing_is_taken() -> None:
    pool = KVPool(SHAPE, 2)
    one, other = BlockTable(pool), BlockTable(pool)
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
def test_holders_never_share_a_row_nor_hold_more_than_their_fullest_moment(
    moves: list[tuple[int, int, bool]],
) -> None:
    pool = KVPool(SHAPE, 64)
    tables = [BlockTable(pool) for _ in range(3)]
    held: list[list[int]] = [[], [], []]
    most = [0, 0, 0]
    random = np.random.default_rng(0)
    for who, count, take in moves:
        table, rows = tables[who], held[who]
        if take and table.blocks_needed(count) <= pool.free_blocks:
            rows += table.allocate(count).tolist()
        elif not take:
            random.shuffle(rows)
            table.free(np.array(rows[:count], np.int64))
            del rows[:count]
        most[who] = max(most[who], len(rows))
        everything = [row for one in held for row in one]
        assert len(set(everything)) == len(everything)
        assert table.tokens == len(rows)
        assert table.blocks * 16 < most[who] + 16
        assert pool.free_blocks + sum(one.blocks for one in tables) == 64
    for table, rows in zip(tables, held, strict=True):
        table.free(np.array(rows, np.int64))
    assert pool.free_blocks == 64
