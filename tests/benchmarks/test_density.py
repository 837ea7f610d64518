"""The peers do what they are said to do, on real streams and a random network."""

import numpy as np
import pytest

from benchmarks.density import measure as density
from benchmarks.density.clock import clock_of
from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.generate import Generate
from benchmarks.density.recompute import Recompute, evs_keep
from benchmarks.density.run import POLICIES
from benchmarks.density.stages import edge_stages, engine_stages
from benchmarks.density.systems import QUESTION, WINDOW, due, window_of
from benchmarks.density.traces import SlotTrace, make_traces
from codecsight.engine import EngineConfig, QueryView
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.tiny import random_model

CLOCK = clock_of("cpu")


@pytest.fixture(scope="module")
def model() -> Qwen3VL:
    return random_model(seed=2)


@pytest.fixture(scope="module")
def films(model: Qwen3VL) -> list[SlotTrace]:
    return make_traces(model.grid_spec(2.0, 48), 1, 17, POLICIES, fps=4)


def test_all_policies_show_the_same_moments(films: list[SlotTrace]) -> None:
    times = {policy: [slot.times for slot in slots] for policy, slots in films[0].slots.items()}
    assert times["tracked"] == times["published"] == times["everything"]
    assert films[0].kept("tracked") < films[0].kept("everything") == 1.0


def test_a_window_computed_anew_says_what_the_plain_engine_says(
    model: Qwen3VL, films: list[SlotTrace]
) -> None:
    dense, plain = Recompute(model), NaiveEngine(model, EngineConfig(window=WINDOW))
    dense.open(0, films[0])
    plain.open("a", films[0].grid)
    for slot in window_of(films[0], 7):
        plain.push("a", slot)
    dense.take(0, 7)
    assert [value for _, _, value in dense.work()] == [plain.ask("a", QUESTION).value]


def test_evs_keeps_the_first_picture_and_what_changed_most(films: list[SlotTrace]) -> None:
    kept = evs_keep(window_of(films[0], 11), pruned=0.7)
    assert kept[0].all()
    assert np.mean(kept) == pytest.approx(0.3, abs=0.03)


def test_every_system_answers_every_stride(model: Qwen3VL, films: list[SlotTrace]) -> None:
    config = EngineConfig(query_view=QueryView.REROTATED, max_waiting=64)
    for system in (
        Generate(model),
        Recompute(model),
        Recompute(model, 0.7),
        EngineSystem(model, "tracked", 3, config),
    ):
        first = density.warm_up(system, films, 3)
        row, said, rounds = density.measure(system, films, first, 0.05, CLOCK)
        assert rounds
        assert said
        assert all(due(index) for _, index in said)
        assert all(row[key] > 0 for key in ("slots_per_s", "flops_per_slot", "kv_bytes_per_stream"))


def test_waiting_is_counted_from_a_slots_arrival(model: Qwen3VL, films: list[SlotTrace]) -> None:
    system = EngineSystem(model, "tracked", 2, EngineConfig(max_waiting=64))
    waits = density.simulate(system, films, density.warm_up(system, films, 2), CLOCK)
    assert waits
    assert all(0 < wait < 5000 for wait in waits)


def test_time_is_told_by_stage(model: Qwen3VL, films: list[SlotTrace]) -> None:
    stages = edge_stages(model.grid_spec(2.0, 48), films[0].name, CLOCK)
    stages |= engine_stages(model, films, 2, CLOCK)
    assert set(stages) == {
        *("signals", "select", "code patches", "decode patches"),
        *("vit", "prefill", "answer", "rest"),
    }
    assert all(each > 0 for each in stages.values())
