"""Run the density benchmark: all systems, one level of concurrency after the other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.generate import Generate
from benchmarks.density.measure import (
    LIMIT_MS,
    SLOTS_PER_S,
    Answers,
    MakeSystem,
    adhoc_ms,
    agreement,
    measure_level,
    streams_at_limit,
    throughput,
)
from benchmarks.density.recompute import Recompute
from benchmarks.density.shapes import random_weights
from benchmarks.density.stages import edge_stages, engine_stages
from benchmarks.density.systems import STRIDE, WINDOW, clock_for
from benchmarks.density.traces import FREQUENT_ANCHORS, make_traces
from benchmarks.record import origin
from benchmarks.result_file import save_result
from codecsight.engine import EngineConfig, QueryView
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import load_model

EVS_PRUNED = 0.7
EXTRA_PASSES = 2
"""Further throughput passes over all levels. The median of all passes is reported, because the load
from other processes changes within minutes.
"""
POLICIES = ("tracked", FREQUENT_ANCHORS, "published", "everything")

save = save_result
"""Used by `codecsight bench`."""


def run(
    quick: bool,
    on_progress: Callable[[str], None] = print,
    device: str = "cpu",
    shape: str | None = None,
) -> dict[str, Any]:
    """Measure all systems with the default checkpoint, or with random weights in a larger `shape`.

    `quick` is for tests: two levels, two traces. `shape` is a key of `SHAPES`.
    """
    torch.set_num_threads(1)
    clock = clock_for(device)
    model = random_weights(shape, device) if shape else load_model(device=device)
    assert isinstance(model, Qwen3VL)
    on_progress("rendering traces")
    traces = make_traces(model.grid_spec(2.0, 48), 2 if quick else 6, 24 if quick else 30, POLICIES)
    systems = systems_of(model)
    levels = (1, 4) if quick else (1, 4, 16, 32, 64, 128)
    rows: list[dict[str, Any]] = []
    answers: dict[str, Answers] = {name: {} for name in systems}
    for streams in levels:
        for name, make in systems.items():
            on_progress(f"{name}, {streams} streams")
            row, given = measure_level(make, traces, streams, 1.0, clock)
            row["slots_per_s_passes"] = [row["slots_per_s"]]
            rows.append({"system": name, "concurrency": streams, **row})
            answers[name].update(given)
    for number in range(0 if quick else EXTRA_PASSES):
        on_progress(f"throughput again, {number + 1} of {EXTRA_PASSES}")
        for row in rows if number % 2 else reversed(rows):
            rate = throughput(systems[row["system"]], traces, row["concurrency"], 1.0, clock)
            row["slots_per_s_passes"].append(rate)
    for row in rows:
        row["slots_per_s"] = float(np.median(row["slots_per_s_passes"]))
        row["core_s_per_camera_hour"] = round(3600 * SLOTS_PER_S / row["slots_per_s"], 2)
    for name, make in systems.items():
        on_progress(f"{name}: streams within the limit")
        system_rows = [row for row in rows if row["system"] == name]
        best = max(row["slots_per_s"] for row in system_rows)
        limit = streams_at_limit(make, traces, best, 8 if quick else 512, clock)
        for row in system_rows:
            row["streams_at_limit"] = limit
    on_progress("stages")
    kept = {policy: float(np.mean([trace.kept(policy) for trace in traces])) for policy in POLICIES}
    return {
        **origin(),
        "model": model.name,
        "device": "cpu, one thread" if device == "cpu" else torch.cuda.get_device_name(device),
        "ttft_limit_ms": LIMIT_MS,
        "window": WINDOW,
        "stride": STRIDE,
        "stream_slots_per_s": SLOTS_PER_S,
        "kept": {policy: round(share, 3) for policy, share in kept.items()},
        "stages_ms_per_slot": edge_stages(model.grid_spec(2.0, 48), traces[0].name, clock)
        | engine_stages(model, traces, levels[-1] if quick else 16, clock),
        "adhoc_ttft_ms": {name: adhoc_ms(make(1), traces, clock) for name, make in systems.items()},
        "agreement_with_dense": {
            name: agreement(answers["dense"], given) for name, given in answers.items()
        },
        "rows": rows,
    }


def systems_of(model: Qwen3VL) -> dict[str, MakeSystem]:
    """Return a factory for each system."""
    default = EngineConfig(window=WINDOW, stride=STRIDE, max_waiting=64)
    published = replace(
        default,
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
        "codecsight-unpruned": lambda streams: EngineSystem(model, "everything", streams, default),
        "codecsight-anchor-2": lambda streams: EngineSystem(
            model, FREQUENT_ANCHORS, streams, default
        ),
        "codecsight": lambda streams: EngineSystem(model, "tracked", streams, default),
    }
