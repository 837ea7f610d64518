"""`python -m benchmarks.soak leak|memory|overload|day`: one long run, kept in `results/`."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch

from benchmarks.density.traces import SlotTrace, make_traces
from benchmarks.record import record
from benchmarks.soak.day import day
from benchmarks.soak.leak import leak
from benchmarks.soak.memory import memory
from benchmarks.soak.overload import overload
from codecsight.engine import EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model

Run = tuple[EngineConfig, Callable[[], dict[str, Any]]]


def main() -> None:
    """Read the command line, run, record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("what", choices=("leak", "memory", "overload", "day"))
    parser.add_argument("--steps", type=int, default=10_000, help="of the engine, for `leak`")
    parser.add_argument("--windows", type=int, default=10_000, help="moved, for `memory`")
    parser.add_argument("--hours", type=float, default=24.0, help="watched, for `day`")
    given = parser.parse_args()
    if given.what == "day":
        print(record("soak-day", day(given.hours)))
        return
    torch.set_num_threads(1)
    model, usual = load_model(device="cpu"), EngineConfig()
    crowded = replace(usual, kv_blocks=90, reservation_ratio=0.12)  # KV changes hands all the time
    runs: dict[str, Run] = {
        "leak": (crowded, lambda: leak(model, crowded, given.steps)),
        "memory": (usual, lambda: memory(model, usual, films(model), given.windows)),
        "overload": (usual, lambda: overload(model, usual)),
    }
    config, run = runs[given.what]
    path = record(f"soak-{given.what}", {"config": asdict(config), **run()})
    print(path)


def films(model: VisionLanguageModel) -> list[SlotTrace]:
    """Two cameras."""
    return make_traces(model.grid_spec(2.0, 48), 2, 24, ("tracked",))


if __name__ == "__main__":
    main()
