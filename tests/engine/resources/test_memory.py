"""Memory of streams is reserved before they are admitted, in blocks and in bytes."""

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import (
    AdmissionRefused,
    Engine,
    EngineConfig,
    EngineError,
    EvictionPolicy,
    QueryView,
)
from codecsight.engine.resources.memory import MemoryPlanner, block_bytes, fit_to_memory
from codecsight.models.families.qwen3_vl import Qwen3VL

MakeSlot = Callable[..., Slot]
PERSON = Question("Is there a person?", QuestionKind.YES_NO)


def memory_for(model: Qwen3VL, grid: PatchGrid, streams: int, config: EngineConfig) -> int:
    """Bytes for exactly this many streams."""
    empty = MemoryPlanner(model, config)
    fixed = empty.pool_bytes - config.kv_blocks * block_bytes(model)
    return fixed + streams * (empty.blocks(grid) * block_bytes(model) + empty.auxiliary_bytes(grid))


def test_memory_for_three_streams_admits_three(model: Qwen3VL, grid: PatchGrid) -> None:
    config = EngineConfig(window=3, stride=1)
    memory = memory_for(model, grid, 3, config)
    engine = Engine(model, fit_to_memory(memory, model, config, grid))
    for stream in "abc":
        engine.open(stream, grid)
    assert engine.status().bytes_reserved == memory
    with pytest.raises(AdmissionRefused, match="raise memory"):
        engine.open("d", grid)
    engine.close("b")
    engine.open("d", grid)
    two = Engine(model, fit_to_memory(memory - 1, model, config, grid))
    for stream in "ab":
        two.open(stream, grid)
    with pytest.raises(AdmissionRefused):
        two.open("c", grid)


def test_auxiliary_bytes_bound_the_number_of_streams_too(model: Qwen3VL, grid: PatchGrid) -> None:
    config = EngineConfig(window=3, stride=1, kv_blocks=1000)
    planner = MemoryPlanner(model, config)
    each = planner.auxiliary_bytes(grid)
    engine = Engine(
        model,
        EngineConfig(
            window=3, stride=1, kv_blocks=1000, memory_bytes=planner.pool_bytes + 2 * each + 7
        ),
    )
    for stream in "ab":
        engine.open(stream, grid)
    with pytest.raises(AdmissionRefused, match=f"{each} bytes outside the KV pool and 7 are free"):
        engine.open("c", grid)


@pytest.mark.parametrize("evict", list(EvictionPolicy))
def test_a_full_stream_holds_exactly_its_reserved_auxiliary_bytes(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, evict: EvictionPolicy
) -> None:
    config = EngineConfig(
        window=3, stride=1, max_waiting=2, eviction=evict, query_view=QueryView.REROTATED
    )
    engine, planner = Engine(model, config), MemoryPlanner(model, config)
    engine.open("a", grid)
    remnants = grid.cells * model.no_cells().cell_bytes if evict is EvictionPolicy.SUPERSEDED else 0
    for second in range(12):
        keep = 1.0 if second < 4 else None
        engine.push("a", slot_at(second, keep=keep))
        engine.ask("a", PERSON)
        assert engine.status().auxiliary_bytes <= planner.auxiliary_bytes(grid)
        if second == 3:  # every slot has every cell
            for later in (3.6, 3.7):
                slot = slot_at(3, keep=1.0)
                engine.submit("a", replace(slot, times=(later, later + 0.05)))
            assert engine.status().auxiliary_bytes == planner.auxiliary_bytes(grid) - remnants
            while engine.busy:
                engine.step()


def test_reported_bytes_equal_those_of_live_tensors(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    """Streams share passes here, and no view keeps the tensors of a pass alive."""
    engine = Engine(model, EngineConfig(window=3, stride=1))

    def live(streams: str, seconds: int) -> int:
        for stream in streams:
            engine.open(stream, grid)
        for second in range(seconds):
            for number, stream in enumerate(streams):
                engine.submit(stream, slot_at(second, seed=number), [PERSON])
            while engine.busy:
                engine.step()
        gc.collect()
        tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor]
        stores = [one.untyped_storage() for one in tensors if one.dtype == model.kv.dtype]
        return sum({store.data_ptr(): store.nbytes() for store in stores}.values())

    live("warm", 7)
    for stream in "warm":
        engine.close(stream)
    without_streams = live("", 0)
    held = live("abcde", 7) - without_streams
    status = engine.status()
    pixels = sum(engine._sessions[stream].encoder_input.nbytes for stream in "abcde")
    assert pixels > 0
    assert held == status.auxiliary_bytes - pixels
    assert status.auxiliary_bytes < status.bytes_reserved - engine._memory.pool_bytes


def test_the_pool_is_as_large_as_planned(model: Qwen3VL) -> None:
    engine = Engine(model, EngineConfig(kv_blocks=50))
    assert engine._pool.keys.nbytes + engine._pool.values.nbytes == engine._memory.pool_bytes
    assert engine._pool.block_bytes == block_bytes(model)
    assert engine.status().bytes_reserved == engine._memory.pool_bytes


def test_too_little_memory_for_any_stream_is_an_error(model: Qwen3VL, grid: PatchGrid) -> None:
    with pytest.raises(EngineError, match=r"stream of 3 x 4 cells takes \d+ bytes .* raise memory"):
        fit_to_memory(1000, model, EngineConfig(), grid)
    with pytest.raises(EngineError, match="lower kv_blocks or raise memory"):
        Engine(model, EngineConfig(memory_bytes=1000))
