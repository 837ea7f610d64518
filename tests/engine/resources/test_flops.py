"""Operations computed by the identities equal torch's counts of real calls."""

import gc
import weakref
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, Flops, QueryView
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import KVPool
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.resources import flops
from codecsight.engine.resources.flops import FlopMeter, count_flops
from codecsight.models.base import CellFeatures
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.prompt import Tokens
from codecsight.models.tiny import random_model

MakeEngine = Callable[..., Engine]
MakeSlot = Callable[..., Slot]
COUNT = Question("How many cars?", QuestionKind.COUNT)


@pytest.fixture(scope="session")
def meter(model: Qwen3VL) -> FlopMeter:
    return FlopMeter(model)


def test_attention_on_the_cpu_is_counted() -> None:
    query, key = torch.ones(1, 2, 5, 8), torch.ones(1, 2, 7, 8)
    mask = torch.ones(5, 7, dtype=torch.bool)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attend(query, key, key, attn_mask=mask)) == 2 * 2 * (2 * 5 * 7 * 8)


def test_experts_are_counted() -> None:
    tokens, weights = torch.ones(5, 16), torch.ones(2, 16, 24)
    ends = torch.tensor([2, 5], dtype=torch.int32)
    each = count_flops(lambda: torch.nn.functional.grouped_mm(tokens, weights, offs=ends))
    assert each == 2 * 5 * 16 * 24


@pytest.mark.parametrize("keep", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("wanted", [1, 2, None])
def test_vit_calls(
    model: Qwen3VL, meter: FlopMeter, slot_at: MakeSlot, keep: float, wanted: int | None
) -> None:
    slot = slot_at(3, keep=keep)
    encoded_cells = np.arange(slot.kept_count)[:wanted]
    spent = count_flops(lambda: model.encode_slots([slot], [encoded_cells]))
    assert spent == meter.vit(slot.kept, len(encoded_cells)) > 0


def test_vit_calls_with_a_vision_kv_cache(
    model: Qwen3VL, meter: FlopMeter, slot_at: MakeSlot
) -> None:
    slot = slot_at(3, keep=0.5)
    cache = model.new_vision_kv_cache(*slot.kept.shape)
    spent = count_flops(lambda: model.encode_slots([slot], caches=[cache]))
    assert spent == meter.vit_cached(slot.kept) > meter.vit(slot.kept)
    assert count_flops(lambda: model.encode_cells(slot, cache)) == spent


def test_the_packed_vit_takes_as_many_operations_as_transformers(
    model: Qwen3VL, slot_at: MakeSlot
) -> None:
    slot = slot_at(3)
    assert count_flops(lambda: model.encode_slots([slot])) == count_flops(
        lambda: model.encode_cells(slot)
    )


@pytest.mark.parametrize(
    ("tokens", "past", "logits"), [(1, 0, 1), (7, 0, 0), (5, 90, 3), (64, 9, 1)]
)
def test_text_calls(model: Qwen3VL, meter: FlopMeter, tokens: int, past: int, logits: int) -> None:
    pool, indices = KVPool(model.kv, 10), np.arange(past + tokens)
    span = AttentionSpan.causal(indices)
    run = PackedSegment(
        Tokens.text(list(range(tokens))),
        model.no_cells(),
        indices[past:],
        indices[past:],
        span,
        range(logits),
    )
    call = partial(forward, model, pool, [run], KVCopies.join([]))
    assert count_flops(call) == meter.llm(tokens, past + tokens, logits) > 0


def test_the_account_equals_the_counts_of_all_calls(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(
        window=3, stride=1, refresh="first:1", query_view=QueryView.LATEST_FEATURES
    )
    engine.open("a", grid)

    def run() -> None:
        for second in range(6):
            engine.push("a", slot_at(second))
            engine.ask("a", COUNT)

    assert count_flops(run) == engine.status().work.spent.total


def test_the_dense_baselines_equal_runs_in_which_nothing_is_pruned(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    """`once` equals what this engine spends on slots with every cell."""
    config = {
        "window": 3,
        "stride": 1,
        "query_view": QueryView.LAST_SLOT,
        "vision_kv_cache": False,
        "neighbour_radius": 0,
    }
    pruned, dense = engine_with(**config), engine_with(**config)
    for engine, keep in ((pruned, 0.3), (dense, 1.0)):
        engine.open("a", grid)
        for second in range(6):
            engine.push("a", slot_at(second, keep=1.0 if second == 0 else keep))
            engine.ask("a", COUNT)
    work = pruned.status().work
    assert work.once == dense.status().work.spent
    assert work.recompute == dense.status().work.recompute
    assert work.spent.vit < 0.6 * work.once.vit
    assert work.spent.total < work.once.total < work.recompute.total


def test_recompute_pays_for_a_whole_dense_window_at_each_move(
    engine_with: MakeEngine, model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=3, stride=1)
    engine.open("a", grid)
    for second in range(3):
        engine.push("a", slot_at(second))
    last = engine.push("a", slot_at(3))

    every_cell = np.ones((grid.rows, grid.cols), np.bool_)
    pool = KVPool(model.kv, 40)

    def dense() -> None:
        slots = [slot_at(second, keep=1.0) for second in (1, 2, 3)]
        cells = CellFeatures.join(model.encode_slots(slots))
        runs = [model.layout.prefix]
        runs += [model.layout.slot(second + 0.25, every_cell) for second in (1, 2, 3)]
        tokens = Tokens.join(runs)
        indices = np.arange(len(tokens))
        run = PackedSegment(tokens, cells, indices, indices, AttentionSpan.causal(indices))
        forward(model, pool, [run], KVCopies.join([]))

    assert last.stride_complete
    assert last.work.recompute.total == count_flops(dense)


def test_a_model_is_counted_once_and_not_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(seed=3)
    with monkeypatch.context() as patch:
        first = FlopMeter(model)
        patch.setattr(flops, "count_flops", lambda _: pytest.fail("it was counted already"))
        assert FlopMeter(model).llm(3, 5, 1) == first.llm(3, 5, 1) > 0
    gone = weakref.ref(model)
    del model, first, patch
    gc.collect()
    assert gone() is None


def test_flops_add_up() -> None:
    assert Flops(1, 2) + Flops(3, 4) == Flops(4, 6)
    assert Flops(4, 6).total == 10
