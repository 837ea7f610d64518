"""Measure all systems in one run, turn by turn.

The clock is this process's CPU time on one thread: what an idle machine's wall would show, and
indifferent to neighbours. Streams run in their own time (a slot a second each): while a system
works, slots arrive; where it idles, time jumps ahead. Every stream asks one question per stride;
its TTFT counts from the arrival of the slot that made it due to the first token of the answer.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.density.films import Film, make_films
from benchmarks.density.generate import Generate
from benchmarks.density.packed import Packed
from benchmarks.density.recompute import Recompute
from benchmarks.density.systems import STRIDE, WINDOW, Said, System
from benchmarks.record import origin
from codecsight.engine import EngineConfig, Present
from codecsight.engine.flops import FlopMeter
from codecsight.models.loading import load_model
from codecsight.models.qwen3_vl import Qwen3VL

LIMIT_MS = 1000.0
"""The p99 TTFT up to which a number of streams counts as served."""
SLOTS_PER_S = 1.0
EVS_PRUNED = 0.7
POLICIES = ("tracked", "published", "everything")

Make = Callable[[int], System]


def run(quick: bool, say: Callable[[str], None] = print) -> dict[str, Any]:
    """All rows, and what they were measured with."""
    torch.set_num_threads(1)
    model = load_model(device="cpu")
    assert isinstance(model, Qwen3VL)
    say("filming")
    seconds = 24 if quick else 30
    films = make_films(model.grid_spec(2.0, 48), 2 if quick else 6, seconds, POLICIES)
    systems = systems_of(model)
    levels = (1, 4) if quick else (1, 4, 16, 32, 64)
    rows: list[dict[str, Any]] = []
    answers: dict[str, dict[tuple[int, int], object]] = {name: {} for name in systems}
    for streams in levels:
        for name, make in systems.items():
            say(f"{name}, {streams} streams")
            row, said = measure(make(streams), films, streams, 1.0 if quick else 2.0)
            row |= ttft(make, films, streams, row["slots_per_s"])
            rows.append({"system": name, "concurrency": streams, **row})
            answers[name].update(said)
    for name, make in systems.items():
        say(f"{name}: streams at the limit")
        own = [row for row in rows if row["system"] == name]
        limit = streams_at_limit(make, films, max(row["slots_per_s"] for row in own), quick)
        for row in own:
            row["streams_at_limit"] = limit
    kept = {policy: float(np.mean([film.kept(policy) for film in films])) for policy in POLICIES}
    return {
        **origin(),
        "model": model.name,
        "device": "cpu, one thread",
        "ttft_limit_ms": LIMIT_MS,
        "window": WINDOW,
        "stride": STRIDE,
        "slots_per_s_of_a_stream": SLOTS_PER_S,
        "kept": {policy: round(share, 3) for policy, share in kept.items()},
        "adhoc_ttft_ms": {name: adhoc_ms(make(1), films) for name, make in systems.items()},
        "agreement_with_dense": {
            name: agreement(answers["dense"], said) for name, said in answers.items()
        },
        "rows": rows,
    }


def systems_of(model: Qwen3VL) -> dict[str, Make]:
    """Every system, to be made for a number of streams."""
    published = EngineConfig(
        window=WINDOW,
        stride=STRIDE,
        refresh="anchors",
        present=Present.LAST_SLOT,
        ring=0,
        max_waiting=64,
    )
    ours = EngineConfig(window=WINDOW, stride=STRIDE, max_waiting=64)
    canvas = replace(ours, refresh="anchors", present=Present.CANVAS)
    return {
        "transformers": lambda _: Generate(model, FlopMeter(model)),
        "dense": lambda _: Recompute(model),
        "evs": lambda _: Recompute(model, EVS_PRUNED),
        "published": lambda streams: Packed(model, "published", streams, published),
        "codecsight": lambda streams: Packed(model, "tracked", streams, ours),
        "codecsight-canvas": lambda streams: Packed(model, "tracked", streams, canvas),
    }


def measure(
    system: System, films: list[Film], streams: int, seconds: float
) -> tuple[dict[str, Any], dict[tuple[int, int], object]]:
    """As fast as it can, every stream's next slot as soon as all are done; windows full."""
    first = warm_up(system, films, streams)
    flops, spent, slots, round_ = system.flops(), 0.0, 0, 0
    said: list[Said] = []
    while spent < seconds and round_ + 1 < shortest(films) - max(first):
        started, before = time.process_time(), len(said)
        for _ in range(STRIDE):
            for stream in range(streams):
                system.take(stream, first[stream] + round_)
            round_ += 1
        while system.busy:
            said += system.work()
            if time.process_time() - started > 2 * seconds:  # a round is too long: a part will do
                break
        spent += time.process_time() - started
        slots += STRIDE * (len(said) - before)
    row = {
        "slots_per_s": round(slots / spent, 2),
        "flops_per_slot": round((system.flops() - flops) / slots),
        "kv_bytes_per_stream": round(system.kv_bytes()),
    }
    return row, {(stream % len(films), index): value for stream, index, value in said}


def warm_up(system: System, films: list[Film], streams: int) -> list[int]:
    """Open all streams and fill their windows, each to another phase of its anchors; returns each
    stream's next slot.
    """
    first = [WINDOW + STRIDE * (stream % (WINDOW // STRIDE)) for stream in range(streams)]
    for stream in range(streams):
        system.open(stream, films[stream % len(films)])
    if not isinstance(system, Packed):  # the others hold nothing between questions
        return first
    for index in range(max(first)):
        for stream in range(streams):
            if index < first[stream]:
                system.take(stream, index)
        while system.busy:
            system.work()
    return first


def ttft(make: Make, films: list[Film], streams: int, slots_per_s: float) -> dict[str, Any]:
    """Mean and p99; None where the system can't keep up with so many streams."""
    if slots_per_s < streams * SLOTS_PER_S:
        return {"ttft_mean_ms": None, "ttft_p99_ms": None}
    waits = simulate(make(streams), films, streams)
    return {
        "ttft_mean_ms": round(float(np.mean(waits)), 1),
        "ttft_p99_ms": round(float(np.percentile(waits, 99)), 1),
    }


def adhoc_ms(system: System, films: list[Film]) -> float:
    """The mean time to answer a question out of the blue, when nothing else is to be done."""
    index = warm_up(system, films, 1)[0] - 1
    system.ask(0, index)
    started = time.process_time()
    for _ in range(8):
        system.ask(0, index)
    return round((time.process_time() - started) / 8 * 1e3, 2)


def simulate(system: System, films: list[Film], streams: int) -> list[float]:
    """Stream time for as long as the films last, or twelve slots where streams are many."""
    first = warm_up(system, films, streams)
    rounds = min(shortest(films) - max(first), 16 if streams < 16 else 6)
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
        started = time.process_time()
        if not system.busy:
            now = max(now, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now:
            at, stream, index = heapq.heappop(arrivals)
            came[stream, index] = at
            system.take(stream, index)
        said: list[Said] = system.work() if system.busy else []
        now += time.process_time() - started
        waits += [(now - came[stream, index]) * 1e3 for stream, index, _ in said]
    return waits


def streams_at_limit(make: Make, films: list[Film], slots_per_s: float, quick: bool) -> int:
    """The most streams (of what throughput allows, in a few steps) within the limit."""
    for share in (0.95, 0.85, 0.7, 0.5, 0.25):
        streams = int(slots_per_s / SLOTS_PER_S * share)
        if quick:
            streams = min(streams, 8)
        if streams < 1:
            break
        if np.percentile(simulate(make(streams), films, streams), 99) <= LIMIT_MS:
            return streams
    return 0


def shortest(films: list[Film]) -> int:
    """Slots that every film has."""
    return min(len(slots) for film in films for slots in film.slots.values())


def agreement(
    theirs: dict[tuple[int, int], object], ours: dict[tuple[int, int], object]
) -> dict[str, float | int]:
    """How often the same was said of the same window."""
    both = [(theirs[key], ours[key]) for key in theirs.keys() & ours.keys()]
    same = sum(one == other for one, other in both)
    return {"share": round(same / max(len(both), 1), 3), "windows": len(both)}
