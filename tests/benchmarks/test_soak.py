"""The long runs in short: their rules, and that they would find what they look for."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.density.traces import SlotTrace, make_traces
from benchmarks.soak import day as days
from benchmarks.soak.leak import leak
from benchmarks.soak.memory import memory
from benchmarks.soak.overload import HASTE, Camera, Fleet
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.resources.utilization import Utilization
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import load_model
from codecsight.models.tiny import random_model
from codecsight.uplink.token_bucket import TokenBucket

TOKEN_S = 0.004
"""What a token or a cell costs on the device of these tests: about five streams fit."""


@pytest.fixture(scope="module")
def model() -> Qwen3VL:
    return random_model(seed=2)


@pytest.fixture(scope="module")
def films(model: Qwen3VL) -> list[SlotTrace]:
    return make_traces(model.grid_spec(2.0, 24), 1, 17, ("tracked",), fps=4)


@pytest.fixture
def clock(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Counts work instead of time, so that every run is the same on any machine."""
    spent = [0]
    forward, encode = model.forward_packed, model.encode_slots

    def counted_forward(tokens, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        spent[0] += len(tokens)
        return forward(tokens, *rest)

    def counted_encode(slots, *own):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        spent[0] += sum(slot.kept_count for slot in slots)
        return encode(slots, *own)

    monkeypatch.setattr(model, "forward_packed", counted_forward)
    monkeypatch.setattr(model, "encode_slots", counted_encode)
    return lambda: spent[0] * TOKEN_S


def fleet_of(model: Qwen3VL, clock: Callable[[], float], load: Utilization | None = None) -> Fleet:
    return Fleet(Engine(model, EngineConfig(window=4, max_waiting=1)), load, clock)


def waits(
    model: Qwen3VL,
    films: list[SlotTrace],
    clock: Callable[[], float],
    last: Camera,
    streams: int = 3,
) -> float:
    """The mean wait of streams that behave, with a last one beside them."""
    fleet = fleet_of(model, clock)
    fleet.run([*(Camera(str(n), films[0], n * 0.2) for n in range(streams)), last], 25.0)
    return float(np.mean([wait for name, _, wait in fleet.waits if name != last.name]))


def test_a_stream_that_floods_or_stalls_slows_no_other_by_more_than_a_tenth(
    model: Qwen3VL, films: list[SlotTrace], clock: Callable[[], float]
) -> None:
    behaves = waits(model, films, clock, Camera("last", films[0], 1.0))
    stalls = waits(model, films, clock, Camera("last", films[0], 1.0, every=float("inf")))
    paced = Camera("last", films[0], 1.0, floods=True, pace=TokenBucket(HASTE))
    floods = waits(model, films, clock, paced)
    unpaced = waits(model, films, clock, Camera("last", films[0], 1.0, floods=True))
    assert stalls <= behaves
    assert floods <= 1.1 * behaves
    assert unpaced > floods  # the pace is what holds it


def test_twice_the_streams_that_fit(
    model: Qwen3VL, films: list[SlotTrace], clock: Callable[[], float]
) -> None:
    def crowd() -> list[Camera]:
        return [Camera(str(n), films[0], n * 1.0) for n in range(12)]

    door = fleet_of(model, clock, Utilization(0.9))
    door.run(crowd(), 24.0)
    let_in = door.told["streams let in"]
    assert 2 <= let_in <= 8
    assert door.told["streams turned away"] == 12 - let_in
    assert door.told["slots refused"] == 0
    kept = [wait for _, came, wait in door.waits if came > 14]

    open_ = fleet_of(model, clock)
    open_.run(crowd(), 24.0)
    assert open_.told["slots refused"] > 0
    late = [wait for _, came, wait in open_.waits if came > 14]
    assert len(late) > 3  # all are slower, none hangs
    assert max(late) < 10.0
    assert np.mean(kept) < np.mean(late) / 2


def test_no_stream_speaks_of_anothers_colour() -> None:
    """The default checkpoint, which knows colours: streams that lose their KV to one another."""
    config = EngineConfig(kv_blocks=60, reservation_ratio=0.08)
    told = leak(load_model(device="cpu"), config, steps=60, length=4)
    assert told["wrong_colours"] == 0
    assert told["largest_difference_from_alone"] < 1e-4
    assert min(told[key] for key in ("shared", "answers", "evicted", "closed")) > 0
    assert told["blocks_held_at_the_end"] == told["bytes_beside_the_pool_at_the_end"] == 0
    assert told["blocks_free_at_the_end"] == told["blocks_of_the_pool"]


def test_memory_is_sampled_from_beginning_to_end(model: Qwen3VL, films: list[SlotTrace]) -> None:
    told = memory(model, EngineConfig(window=4), films, windows=40, streams=2, times=4)
    assert told["windows"] >= 40
    assert told["rss_mib_late"] < told["rss_mib_early"] * 1.2
    assert told["samples"][-1]["tensors"] > 0


def test_a_day_is_every_frame_of_it_and_sampled_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(days, "SECONDS", 2.0)
    told = days.day(20 / 3600, times=2)
    assert told["frames"] == 20 * days.FPS
    assert told["slots"] == 20
    assert told["anomalies"] == {}
    assert [sample["frames"] for sample in told["samples"]] == [50, 100]
    assert all(sample["rss_mib"] > 0 for sample in told["samples"])
