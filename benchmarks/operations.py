"""`python -m benchmarks.operations`: counted operations by part, in the published setting.

Streams of `benchmarks.accuracy` with full windows and one question each. Values are shares of the
operations of the dense model, which encodes and prefills every window again. `vision-kv-cache` is
the default engine; `neighbour-radius` encodes the neighbours of changed cells again, and all cells
of anchors.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch

from benchmarks.accuracy.evaluation import PROBE
from benchmarks.accuracy.footage import Footage, render_footage
from benchmarks.accuracy.streams import FULL, PUBLISHED, RATE, streams
from benchmarks.record import record
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.resources.flops import FlopMeter
from codecsight.engine.results import SlotResult
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model

MAX_CELLS = 48
CONFIGS = {
    "neighbour-radius": EngineConfig(PUBLISHED.window, PUBLISHED.stride, vision_kv_cache=False),
    "vision-kv-cache": EngineConfig(PUBLISHED.window, PUBLISHED.stride),
}
Part = tuple[str, int]
"""Name and operations."""


def main() -> None:
    """Run and write `results/operations.json`."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.operations", description=__doc__
    ).parse_args()
    torch.set_num_threads(1)
    model = load_model(device="cpu")
    spec = model.grid_spec(RATE, MAX_CELLS)
    size = replace(FULL, full_length=0, native=0, stress=0)
    footages = [render_footage(stream, spec) for stream in streams(size)]
    shares = {name: shares_of(model, footages, config) for name, config in CONFIGS.items()}
    print(record("operations", {"streams": len(footages), "shares": shares}))


def shares_of(
    model: VisionLanguageModel, footages: list[Footage], config: EngineConfig
) -> dict[str, float]:
    """Return the operations of each part and of `all` as shares of the dense model's."""
    spent: dict[str, int] = {}
    dense = 0
    for footage in footages:
        for name, operations in _parts(model, footage, config):
            if name == "dense":
                dense += operations
            else:
                spent[name] = spent.get(name, 0) + operations
    shares = {name: round(operations / dense, 5) for name, operations in spent.items()}
    return {**shares, "all": round(sum(spent.values()) / dense, 5)}


def _parts(model: VisionLanguageModel, footage: Footage, config: EngineConfig) -> Iterator[Part]:
    """Yield the operations of each slot and question of one stream once its window is full, and
    those of the dense model as `dense`.
    """
    engine, meter = Engine(model, config), FlopMeter(model)
    engine.open("s", footage.grid)
    for index, slot in enumerate(footage.slots["tracked"]):
        result = engine.push("s", slot)
        if index >= config.window - 1:
            yield "dense", result.work.recompute.total
            yield from _slot_parts(meter, config, slot, result)
            if result.stride_complete:
                yield from _question_parts(engine)


def _slot_parts(
    meter: FlopMeter, config: EngineConfig, slot: Slot, result: SlotResult
) -> Iterator[Part]:
    """Yield the operations of a slot; those of the LLM are split evenly over the slot's tokens."""
    kind = "anchors" if slot.kind is SlotKind.ANCHOR else "deltas"
    spent, cell_share = result.work.spent, slot.kept_count / result.prefilled
    neighbours = 0 if config.vision_kv_cache else spent.vit - meter.vit(slot.kept)
    yield f"ViT: cells of {kind}", spent.vit - neighbours
    yield "ViT: neighbours", neighbours
    yield f"LLM: cells of {kind}", round(spent.llm * cell_share)
    yield "LLM: time stamps of slots", round(spent.llm * (1 - cell_share))


def _question_parts(engine: Engine) -> Iterator[Part]:
    """Yield the operations of a question.

    The first question after a slot also prefills the cells that no slot of the window holds.
    """
    work = [engine.status().work]
    for _ in range(2):
        engine.ask("s", PROBE)
        work.append(engine.status().work)
    first, second = (after.spent.llm - before.spent.llm for before, after in pairwise(work))
    yield "LLM: question", second
    yield "LLM: cells in no slot", first - second
    yield "dense", work[1].recompute.total - work[0].recompute.total


if __name__ == "__main__":
    main()
