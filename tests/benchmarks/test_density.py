"""Systems of the density benchmark, on real streams and a random network."""

import numpy as np
import pytest

from benchmarks.density import measure as density
from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.generate import Generate
from benchmarks.density.recompute import Recompute, evs_keep
from benchmarks.density.run import POLICIES
from benchmarks.density.stages import edge_stages, engine_stages
from benchmarks.density.systems import QUESTION, WINDOW, clock_for, due, window_of
from benchmarks.density.traces import SlotTrace, make_traces
from codecsight.engine import EngineConfig, QueryView
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.tiny import random_model

CLOCK = clock_for("cpu")


@pytest.fixture(scope="module")
def model() -> Qwen3VL:
    return random_model(seed=2)


@pytest.fixture(scope="module")
def traces(model: Qwen3VL) -> list[SlotTrace]:
    return make_traces(model.grid_spec(2.0, 48), 1, 17, POLICIES, fps=4)


def test_all_policies_cover_the_same_frames(traces: list[SlotTrace]) -> None:
    times = {policy: [slot.times for slot in slots] for policy, slots in traces[0].slots.items()}
    assert times["tracked"] == times["published"] == times["everything"]
    assert traces[0].kept("tracked") < traces[0].kept("everything") == 1.0


def test_a_recomputed_window_gives_the_naive_engine_s_answer(
    model: Qwen3VL, traces: list[SlotTrace]
) -> None:
    dense, naive = Recompute(model), NaiveEngine(model, EngineConfig(window=WINDOW))
    dense.open(0, traces[0])
    naive.open("a", traces[0].grid)
    for slot in window_of(traces[0], 7):
        naive.push("a", slot)
    dense.submit_slot(0, 7)
    assert [value for _, _, value in dense.step()] == [naive.ask("a", QUESTION).value]


def test_evs_keeps_the_first_slot_and_the_most_changed_cells(traces: list[SlotTrace]) -> None:
    kept = evs_keep(window_of(traces[0], 11), pruned=0.7)
    assert kept[0].all()
    assert np.mean(kept) == pytest.approx(0.3, abs=0.03)


def test_every_system_answers_once_per_stride(model: Qwen3VL, traces: list[SlotTrace]) -> None:
    config = EngineConfig(query_view=QueryView.REROTATED, max_waiting=64)
    for system in (
        Generate(model),
        Recompute(model),
        Recompute(model, 0.7),
        EngineSystem(model, "tracked", 3, config),
    ):
        first = density.warm_up(system, traces, 3)
        row, answers, rounds = density.measure(system, traces, first, 0.05, CLOCK)
        assert rounds
        assert answers
        assert all(due(index) for _, index in answers)
        assert all(row[key] > 0 for key in ("slots_per_s", "flops_per_slot", "kv_bytes_per_stream"))


def test_ttft_is_measured_from_a_slot_s_arrival(model: Qwen3VL, traces: list[SlotTrace]) -> None:
    system = EngineSystem(model, "tracked", 2, EngineConfig(max_waiting=64))
    waits = density.simulate(system, traces, density.warm_up(system, traces, 2), CLOCK)
    assert waits
    assert all(0 < wait < 5000 for wait in waits)


def test_time_is_reported_for_each_stage(model: Qwen3VL, traces: list[SlotTrace]) -> None:
    stages = edge_stages(model.grid_spec(2.0, 48), traces[0].name, CLOCK)
    stages |= engine_stages(model, traces, 2, CLOCK)
    assert set(stages) == {
        *("signals", "select", "encode patches", "decode patches"),
        *("vit", "prefill", "answer", "other"),
    }
    assert all(each > 0 for each in stages.values())
