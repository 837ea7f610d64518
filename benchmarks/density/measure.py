"""What is measured of a system: throughput, time to first token, streams at a limit.

Streams run in their own time (a slot a second each): while a system works, slots arrive; where it
idles, time jumps ahead. Every stream asks one question per stride; its TTFT counts from the arrival
of the slot that made it due to the first token of the answer.
"""

import heapq
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.density.clock import Clock
from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.systems import STRIDE, WINDOW, Said, System
from benchmarks.density.traces import SlotTrace

LIMIT_MS = 1000.0
"""The p99 TTFT up to which a number of streams counts as served."""
SLOTS_PER_S = 1.0
LEAST = 6
"""Slots of stream time in which waits are looked at, at least."""
REPEATS = 3
"""Rounds of a stride each, at least; the median counts, since neighbours make noise."""

Make = Callable[[int], System]
Answers = dict[tuple[int, int], object]


def level(
    make: Make, films: list[SlotTrace], streams: int, seconds: float, clock: Clock
) -> tuple[dict[str, Any], Answers]:
    """A row of one system at so many streams, and what it said."""
    system = make(streams)
    first = warm_up(system, films, streams)
    row, said, rounds = measure(system, films, first, seconds, clock)
    waits: list[float] = []
    if row["slots_per_s"] >= streams * SLOTS_PER_S:
        if system.busy or max(first) + rounds + LEAST > shortest(films):
            system, rounds = make(streams), 0
            warm_up(system, films, streams)
        waits = simulate(system, films, [index + rounds for index in first], clock)
    return row | ttft(waits), said


def throughput(
    make: Make, films: list[SlotTrace], streams: int, seconds: float, clock: Clock
) -> float:
    """Slots per second of one system at so many streams."""
    system = make(streams)
    row, _, _ = measure(system, films, warm_up(system, films, streams), seconds, clock)
    return float(row["slots_per_s"])


def measure(
    system: System, films: list[SlotTrace], first: list[int], seconds: float, clock: Clock
) -> tuple[dict[str, Any], Answers, int]:
    """As fast as it can, every stream's next slot as soon as all are done, windows full: the row,
    what was said, and the slots that each stream has shown.
    """
    flops, rounds, said = system.flops(), 0, list[Said]()
    rates: list[float] = []
    # Of systems that hold nothing, a part of a long round will do.
    patience = math.inf if isinstance(system, EngineSystem) else seconds
    left, most = seconds, shortest(films) - max(first)
    while (left > 0 or len(rates) < REPEATS) and rounds + STRIDE <= most:
        started, before = clock(), len(said)
        for _ in range(STRIDE):
            for stream, index in enumerate(first):
                system.take(stream, index + rounds)
            rounds += 1
        while system.busy and clock() - started < patience:
            said += system.work()
        spent = clock() - started
        rates.append(STRIDE * (len(said) - before) / spent)
        left -= spent
    row = {
        "slots_per_s": round(float(np.median(rates)), 2),
        "flops_per_slot": round((system.flops() - flops) / (STRIDE * len(said))),
        "kv_bytes_per_stream": round(system.kv_bytes()),
    }
    answers: Answers = {(stream % len(films), index): value for stream, index, value in said}
    return row, answers, rounds


def warm_up(system: System, films: list[SlotTrace], streams: int) -> list[int]:
    """Open all streams and fill their windows, each to another phase of its anchors; returns each
    stream's next slot.
    """
    first = [WINDOW + STRIDE * (stream % (WINDOW // STRIDE)) for stream in range(streams)]
    for stream in range(streams):
        system.open(stream, films[stream % len(films)])
    if not isinstance(system, EngineSystem):  # the others hold nothing between questions
        return first
    for index in range(max(first)):
        for stream in range(streams):
            if index < first[stream]:
                system.take(stream, index)
        while system.busy:
            system.work()
    return first


def ttft(waits: list[float]) -> dict[str, float | None]:
    """Mean and p99; None where the system can't keep up with so many streams."""
    if not waits:
        return {"ttft_mean_ms": None, "ttft_p99_ms": None}
    return {
        "ttft_mean_ms": round(float(np.mean(waits)), 1),
        "ttft_p99_ms": round(float(np.percentile(waits, 99)), 1),
    }


def adhoc_ms(system: System, films: list[SlotTrace], clock: Clock) -> float:
    """The mean time to answer a question out of the blue, when nothing else is to be done."""
    index = warm_up(system, films, 1)[0] - 1
    system.ask(0, index)
    started = clock()
    for _ in range(8):
        system.ask(0, index)
    return round((clock() - started) / 8 * 1e3, 2)


def simulate(system: System, films: list[SlotTrace], first: list[int], clock: Clock) -> list[float]:
    """Waits in milliseconds, over stream time for as long as the films last, or six slots where
    streams are many.
    """
    streams = len(first)
    rounds = min(shortest(films) - max(first), 16 if streams < 16 else LEAST)
    random = np.random.default_rng(streams)
    phases = random.permutation(streams) / streams / SLOTS_PER_S
    arrivals = [
        (phases[stream] + index / SLOTS_PER_S, stream, first[stream] + index)
        for stream in range(streams)
        for index in range(rounds)
    ]
    heapq.heapify(arrivals)
    now = 0.0
    came: dict[tuple[int, int], float] = {}
    waits: list[float] = []
    while arrivals or system.busy:
        started = clock()
        if not system.busy:
            now = max(now, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now:
            at, stream, index = heapq.heappop(arrivals)
            came[stream, index] = at
            system.take(stream, index)
        said: list[Said] = system.work() if system.busy else []
        now += clock() - started
        waits += [(now - came[stream, index]) * 1e3 for stream, index, _ in said]
    return waits


def streams_at_limit(
    make: Make, films: list[SlotTrace], slots_per_s: float, most: int, clock: Clock
) -> int:
    """The most streams (of what throughput allows, in a few steps) within the limit."""
    for share in (0.95, 0.85, 0.7, 0.5, 0.25):
        streams = min(int(slots_per_s / SLOTS_PER_S * share), most)
        if streams < 1:
            break
        system = make(streams)
        waits = simulate(system, films, warm_up(system, films, streams), clock)
        if np.percentile(waits, 99) <= LIMIT_MS:
            return streams
    return 0


def shortest(films: list[SlotTrace]) -> int:
    """Slots that every film has."""
    return min(len(slots) for film in films for slots in film.slots.values())


def agreement(theirs: Answers, ours: Answers) -> dict[str, float | int]:
    """How often the same was said of the same window."""
    both = [(theirs[key], ours[key]) for key in theirs.keys() & ours.keys()]
    same = sum(one == other for one, other in both)
    return {"share": round(same / max(len(both), 1), 3), "windows": len(both)}
