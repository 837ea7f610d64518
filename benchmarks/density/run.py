"""Measure all systems in one run, turn by turn, level by level (see `measure`)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.density.clock import clock_of
from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.generate import Generate
from benchmarks.density.measure import (
    LIMIT_MS,
    SLOTS_PER_S,
    Answers,
    Make,
    adhoc_ms,
    agreement,
    level,
    streams_at_limit,
    throughput,
)
from benchmarks.density.recompute import Recompute
from benchmarks.density.shapes import random_weights
from benchmarks.density.stages import edge_stages, engine_stages
from benchmarks.density.systems import STRIDE, WINDOW
from benchmarks.density.traces import OFTEN, make_traces
from benchmarks.record import origin
from codecsight.engine import EngineConfig, QueryView
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import load_model

EVS_PRUNED = 0.7
AGAIN = 2
"""How often throughput is measured anew, up and down the levels: neighbours come and go while a
level is measured, and the median counts.
"""
POLICIES = ("tracked", OFTEN, "published", "everything")


def run(
    quick: bool,
    on_progress: Callable[[str], None] = print,
    device: str = "cpu",
    shape: str | None = None,
) -> dict[str, Any]:
    """All rows, and what they were measured with: the default checkpoint, or random weights in the
    `shape` of a larger model (see `SHAPES`).
    """
    torch.set_num_threads(1)
    clock = clock_of(device)
    model = random_weights(shape, device) if shape else load_model(device=device)
    assert isinstance(model, Qwen3VL)
    on_progress("filming")
    films = make_traces(model.grid_spec(2.0, 48), 2 if quick else 6, 24 if quick else 30, POLICIES)
    systems = systems_of(model)
    levels = (1, 4) if quick else (1, 4, 16, 32, 64, 128)
    rows: list[dict[str, Any]] = []
    answers: dict[str, Answers] = {name: {} for name in systems}
    for streams in levels:
        for name, make in systems.items():
            on_progress(f"{name}, {streams} streams")
            row, said = level(make, films, streams, 1.0, clock)
            row["slots_per_s_each_time"] = [row["slots_per_s"]]
            rows.append({"system": name, "concurrency": streams, **row})
            answers[name].update(said)
    for turn in range(0 if quick else AGAIN):
        on_progress(f"throughput again, {turn + 1} of {AGAIN}")
        for row in rows if turn % 2 else reversed(rows):
            rate = throughput(systems[row["system"]], films, row["concurrency"], 1.0, clock)
            row["slots_per_s_each_time"].append(rate)
    for row in rows:
        row["slots_per_s"] = float(np.median(row["slots_per_s_each_time"]))
        row["core_s_per_camera_hour"] = round(3600 * SLOTS_PER_S / row["slots_per_s"], 2)
    for name, make in systems.items():
        on_progress(f"{name}: streams at the limit")
        own = [row for row in rows if row["system"] == name]
        best = max(row["slots_per_s"] for row in own)
        limit = streams_at_limit(make, films, best, 8 if quick else 512, clock)
        for row in own:
            row["streams_at_limit"] = limit
    on_progress("stages")
    kept = {policy: float(np.mean([film.kept(policy) for film in films])) for policy in POLICIES}
    return {
        **origin(),
        "model": model.name,
        "device": "cpu, one thread" if device == "cpu" else torch.cuda.get_device_name(device),
        "ttft_limit_ms": LIMIT_MS,
        "window": WINDOW,
        "stride": STRIDE,
        "slots_per_s_of_a_stream": SLOTS_PER_S,
        "kept": {policy: round(share, 3) for policy, share in kept.items()},
        "stages_ms_per_slot": edge_stages(model.grid_spec(2.0, 48), films[0].name, clock)
        | engine_stages(model, films, levels[-1] if quick else 16, clock),
        "adhoc_ttft_ms": {name: adhoc_ms(make(1), films, clock) for name, make in systems.items()},
        "agreement_with_dense": {
            name: agreement(answers["dense"], said) for name, said in answers.items()
        },
        "rows": rows,
    }


def systems_of(model: Qwen3VL) -> dict[str, Make]:
    """Every system, to be made for a number of streams."""
    ours = EngineConfig(window=WINDOW, stride=STRIDE, max_waiting=64)
    published = replace(
        ours,
        refresh="anchors",
        query_view=QueryView.LAST_SLOT,
        vision_kv_cache=False,
        neighbour_radius=0,
    )
    return {
        "transformers": lambda _: Generate(model),
        "dense": lambda _: Recompute(model),
        "evs": lambda _: Recompute(model, EVS_PRUNED),
        "published": lambda streams: EngineSystem(model, "published", streams, published),
        "codecsight-whole": lambda streams: EngineSystem(model, "everything", streams, ours),
        "codecsight-often": lambda streams: EngineSystem(model, OFTEN, streams, ours),
        "codecsight": lambda streams: EngineSystem(model, "tracked", streams, ours),
    }
