"""`python -m benchmarks.soak leak|memory|overload|day`: one long run, written to `results/`."""

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
    """Run the benchmark named on the command line and record its result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("benchmark", choices=("leak", "memory", "overload", "day"))
    parser.add_argument("--steps", type=int, default=10_000, help="engine steps of `leak`")
    parser.add_argument("--windows", type=int, default=10_000, help="window moves of `memory`")
    parser.add_argument("--hours", type=float, default=24.0, help="hours of video of `day`")
    arguments = parser.parse_args()
    if arguments.benchmark == "day":
        print(record("soak-day", day(arguments.hours)))
        return
    torch.set_num_threads(1)
    model, default = load_model(device="cpu"), EngineConfig()
    # Far fewer blocks than the streams need, so that KV is evicted all the time.
    crowded = replace(default, kv_blocks=90, reservation_ratio=0.12)
    runs: dict[str, Run] = {
        "leak": (crowded, lambda: leak(model, crowded, arguments.steps)),
        "memory": (default, lambda: memory(model, default, traces(model), arguments.windows)),
        "overload": (default, lambda: overload(model, default)),
    }
    config, run = runs[arguments.benchmark]
    path = record(f"soak-{arguments.benchmark}", {"config": asdict(config), **run()})
    print(path)


def traces(model: VisionLanguageModel) -> list[SlotTrace]:
    """Return the slot traces of two cameras."""
    return make_traces(model.grid_spec(2.0, 48), 2, 24, ("tracked",))


if __name__ == "__main__":
    main()
