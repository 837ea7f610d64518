"""Short versions of the soak benchmarks."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.density.traces import SlotTrace, make_traces
from benchmarks.soak import day as days
from benchmarks.soak.leak import leak
from benchmarks.soak.memory import memory
from benchmarks.soak.overload import Camera, Fleet
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.resources.utilization import Utilization
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import load_model
from codecsight.models.tiny import random_model
from codecsight.uplink.token_bucket import RATE_TOLERANCE, TokenBucket

TOKEN_S = 0.004
"""Simulated seconds per token or cell: about five streams fit."""


@pytest.fixture(scope="module")
def model() -> Qwen3VL:
    return random_model(seed=2)


@pytest.fixture(scope="module")
def traces(model: Qwen3VL) -> list[SlotTrace]:
    return make_traces(model.grid_spec(2.0, 24), 1, 17, ("tracked",), fps=4)


@pytest.fixture
def clock(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Clock that counts work, so that every run is the same on any machine."""
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


def fleet_of(
    model: Qwen3VL, clock: Callable[[], float], admission: Utilization | None = None
) -> Fleet:
    return Fleet(Engine(model, EngineConfig(window=4, max_waiting=1)), admission, clock)


def waits(
    model: Qwen3VL,
    traces: list[SlotTrace],
    clock: Callable[[], float],
    last: Camera,
    streams: int = 3,
) -> float:
    """Mean wait of the well-behaved streams, next to one `last` stream."""
    fleet = fleet_of(model, clock)
    fleet.run([*(Camera(str(n), traces[0], n * 0.2) for n in range(streams)), last], 25.0)
    return float(np.mean([wait for name, _, wait in fleet.waits if name != last.name]))


def test_a_flooding_or_stalled_stream_slows_others_by_at_most_a_tenth(
    model: Qwen3VL, traces: list[SlotTrace], clock: Callable[[], float]
) -> None:
    normal = waits(model, traces, clock, Camera("last", traces[0], 1.0))
    stalled = waits(
        model, traces, clock, Camera("last", traces[0], 1.0, slot_interval_s=float("inf"))
    )
    limited = Camera("last", traces[0], 1.0, floods=True, bucket=TokenBucket(RATE_TOLERANCE))
    flooding = waits(model, traces, clock, limited)
    unlimited = waits(model, traces, clock, Camera("last", traces[0], 1.0, floods=True))
    assert stalled <= normal
    assert flooding <= 1.1 * normal
    assert unlimited > flooding  # the token bucket is what limits it


def test_admission_control_keeps_latency_at_double_load(
    model: Qwen3VL, traces: list[SlotTrace], clock: Callable[[], float]
) -> None:
    def arrivalras() -> list[Camera]:
        return [Camera(str(n), traces[0], n * 1.0) for n in range(12)]

    controlled = fleet_of(model, clock, Utilization(0.9))
    controlled.run(arrivalras(), 24.0)
    admitted = controlled.counts["streams admitted"]
    assert 2 <= admitted <= 8
    assert controlled.counts["streams rejected"] == 12 - admitted
    assert controlled.counts["slots refused"] == 0
    kept = [wait for _, arrival, wait in controlled.waits if arrival > 14]

    uncontrolled = fleet_of(model, clock)
    uncontrolled.run(arrivalras(), 24.0)
    assert uncontrolled.counts["slots refused"] > 0
    late = [wait for _, arrival, wait in uncontrolled.waits if arrival > 14]
    assert len(late) > 3  # all streams are slower, none hangs
    assert max(late) < 10.0
    assert np.mean(kept) < np.mean(late) / 2


def test_no_stream_answers_with_another_stream_s_colour() -> None:
    """Uses the default checkpoint, which recognises colours. Streams evict each other's KV."""
    config = EngineConfig(kv_blocks=60, reservation_ratio=0.08)
    result = leak(load_model(device="cpu"), config, steps=60, length=4)
    assert result["wrong_colours"] == 0
    assert result["max_probability_difference"] < 1e-4
    assert min(result[key] for key in ("shared_steps", "answers", "evicted", "closed")) > 0
    assert result["blocks_held_at_end"] == result["auxiliary_bytes_at_end"] == 0
    assert result["blocks_free_at_end"] == result["blocks_in_pool"]


def test_memory_is_sampled_over_the_whole_run(model: Qwen3VL, traces: list[SlotTrace]) -> None:
    result = memory(model, EngineConfig(window=4), traces, windows=40, streams=2, times=4)
    assert result["windows"] >= 40
    assert result["rss_mib_late"] < result["rss_mib_early"] * 1.2
    assert result["samples"][-1]["tensors"] > 0


def test_a_day_decodes_every_frame_and_samples_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(days, "SECONDS", 2.0)
    result = days.day(20 / 3600, times=2)
    assert result["frames"] == 20 * days.FPS
    assert result["slots"] == 20
    assert result["anomalies"] == {}
    assert [sample["frames"] for sample in result["samples"]] == [50, 100]
    assert all(sample["rss_mib"] > 0 for sample in result["samples"])
