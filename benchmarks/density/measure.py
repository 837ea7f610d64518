"""Measure a system: throughput, time to first token (TTFT), streams within a latency limit.

Streams run in simulated time, one slot per second each: slots arrive while a system computes, and
time jumps ahead where it idles. Each stream gets one question per stride; its TTFT runs from the
arrival of the slot that completes the stride to the first token of the answer.
"""

import heapq
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.systems import STRIDE, WINDOW, Clock, SlotAnswer, System
from benchmarks.density.traces import SlotTrace

LIMIT_MS = 1000.0
"""The p99 TTFT within which a number of streams counts as served."""
SLOTS_PER_S = 1.0
MIN_SLOTS = 6
"""Least slots of stream time over which TTFTs are measured."""
REPEATS = 3
"""Least rounds of one stride each. The median is reported, because other processes cause noise."""

MakeSystem = Callable[[int], System]
"""Creates a system for a number of streams."""
Answers = dict[tuple[int, int], object]
"""Answers by trace number and slot index."""


def measure_level(
    make: MakeSystem, traces: list[SlotTrace], streams: int, seconds: float, clock: Clock
) -> tuple[dict[str, Any], Answers]:
    """Return the row of one system with `streams` streams, and its answers."""
    system = make(streams)
    first = warm_up(system, traces, streams)
    row, answers, rounds = measure(system, traces, first, seconds, clock)
    waits: list[float] = []
    if row["slots_per_s"] >= streams * SLOTS_PER_S:
        # Simulate on the same system if it is idle and enough slots are left, else on a fresh one.
        if system.busy or max(first) + rounds + MIN_SLOTS > shortest(traces):
            system, rounds = make(streams), 0
            warm_up(system, traces, streams)
        waits = simulate(system, traces, [index + rounds for index in first], clock)
    return row | ttft(waits), answers


def throughput(
    make: MakeSystem, traces: list[SlotTrace], streams: int, seconds: float, clock: Clock
) -> float:
    """Slots per second of one system with `streams` streams."""
    system = make(streams)
    row, _, _ = measure(system, traces, warm_up(system, traces, streams), seconds, clock)
    return float(row["slots_per_s"])


def measure(
    system: System, traces: list[SlotTrace], first: list[int], seconds: float, clock: Clock
) -> tuple[dict[str, Any], Answers, int]:
    """Measure throughput with full windows; the next round of slots follows when all are done.

    Returns the row, the answers, and how many slots of each stream were submitted.
    """
    flops, rounds, completed = system.flops(), 0, list[SlotAnswer]()
    rates: list[float] = []
    # Stateless systems can leave a long round unfinished: its rate is known from a part of it.
    round_limit = math.inf if isinstance(system, EngineSystem) else seconds
    left, max_rounds = seconds, shortest(traces) - max(first)
    while (left > 0 or len(rates) < REPEATS) and rounds + STRIDE <= max_rounds:
        started, before = clock(), len(completed)
        for _ in range(STRIDE):
            for stream, index in enumerate(first):
                system.submit_slot(stream, index + rounds)
            rounds += 1
        while system.busy and clock() - started < round_limit:
            completed += system.step()
        spent = clock() - started
        rates.append(STRIDE * (len(completed) - before) / spent)
        left -= spent
    row = {
        "slots_per_s": round(float(np.median(rates)), 2),
        "flops_per_slot": round((system.flops() - flops) / (STRIDE * len(completed))),
        "kv_bytes_per_stream": round(system.kv_bytes()),
    }
    answers: Answers = {(stream % len(traces), index): value for stream, index, value in completed}
    return row, answers, rounds


def warm_up(system: System, traces: list[SlotTrace], streams: int) -> list[int]:
    """Open all streams and fill their windows; returns the index of each stream's next slot.

    Streams start at different phases, so that their strides and anchors do not coincide.
    """
    first = [WINDOW + STRIDE * (stream % (WINDOW // STRIDE)) for stream in range(streams)]
    for stream in range(streams):
        system.open(stream, traces[stream % len(traces)])
    if not isinstance(system, EngineSystem):  # stateless systems have nothing to fill
        return first
    for index in range(max(first)):
        for stream in range(streams):
            if index < first[stream]:
                system.submit_slot(stream, index)
        while system.busy:
            system.step()
    return first


def ttft(waits: list[float]) -> dict[str, float | None]:
    """Return mean and p99 TTFT; None where the system cannot keep up with its streams."""
    if not waits:
        return {"ttft_mean_ms": None, "ttft_p99_ms": None}
    return {
        "ttft_mean_ms": round(float(np.mean(waits)), 1),
        "ttft_p99_ms": round(float(np.percentile(waits, 99)), 1),
    }


def adhoc_ms(system: System, traces: list[SlotTrace], clock: Clock) -> float:
    """Mean time to answer an ad-hoc question on an idle system, in milliseconds."""
    index = warm_up(system, traces, 1)[0] - 1
    system.ask(0, index)
    started = clock()
    for _ in range(8):
        system.ask(0, index)
    return round((clock() - started) / 8 * 1e3, 2)


def simulate(
    system: System, traces: list[SlotTrace], first: list[int], clock: Clock
) -> list[float]:
    """Simulate the streams in time and return the TTFTs in milliseconds.

    Covers up to 16 slots of stream time, MIN_SLOTS with 16 streams or more.
    """
    streams = len(first)
    rounds = min(shortest(traces) - max(first), 16 if streams < 16 else MIN_SLOTS)
    random = np.random.default_rng(streams)
    phases = random.permutation(streams) / streams / SLOTS_PER_S
    arrivals = [
        (phases[stream] + index / SLOTS_PER_S, stream, first[stream] + index)
        for stream in range(streams)
        for index in range(rounds)
    ]
    heapq.heapify(arrivals)
    now = 0.0
    arrived: dict[tuple[int, int], float] = {}
    waits: list[float] = []
    while arrivals or system.busy:
        started = clock()
        if not system.busy:
            now = max(now, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now:
            at, stream, index = heapq.heappop(arrivals)
            arrived[stream, index] = at
            system.submit_slot(stream, index)
        completed: list[SlotAnswer] = system.step() if system.busy else []
        now += clock() - started
        waits += [(now - arrived[stream, index]) * 1e3 for stream, index, _ in completed]
    return waits


def streams_at_limit(
    make: MakeSystem, traces: list[SlotTrace], slots_per_s: float, max_streams: int, clock: Clock
) -> int:
    """Most streams whose p99 TTFT is within LIMIT_MS, tried at a few shares of the throughput."""
    for share in (0.95, 0.85, 0.7, 0.5, 0.25):
        streams = min(int(slots_per_s / SLOTS_PER_S * share), max_streams)
        if streams < 1:
            break
        system = make(streams)
        waits = simulate(system, traces, warm_up(system, traces, streams), clock)
        if np.percentile(waits, 99) <= LIMIT_MS:
            return streams
    return 0


def shortest(traces: list[SlotTrace]) -> int:
    """Number of slots that every trace has."""
    return min(len(slots) for trace in traces for slots in trace.slots.values())


def agreement(one: Answers, other: Answers) -> dict[str, float | int]:
    """Share of equal answers to the same windows, and the number of these windows."""
    both = [(one[key], other[key]) for key in one.keys() & other.keys()]
    same = sum(first == second for first, second in both)
    return {"share": round(same / max(len(both), 1), 3), "windows": len(both)}
