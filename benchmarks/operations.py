"""`python -m benchmarks.operations`: where the operations go that are executed in the published
set-up, by counted work, with the default policies.

The streams of `benchmarks.accuracy`, one question per window, on full windows; as shares of what
the dense model executes, which encodes and prefills every window anew. `remembering` is the engine
as it is shipped, `ring` the same with a ring of neighbours encoded again and anchors whole.
"""

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
    "ring": EngineConfig(PUBLISHED.window, PUBLISHED.stride, vision_kv_cache=False),
    "remembering": EngineConfig(PUBLISHED.window, PUBLISHED.stride),
}
Part = tuple[str, int]


def main() -> None:
    """Run, and write `results/operations.json`."""
    torch.set_num_threads(1)
    model = load_model(device="cpu")
    spec = model.grid_spec(RATE, MAX_CELLS)
    size = replace(FULL, full_length=0, native=0, stress=0)
    films = [render_footage(stream, spec) for stream in streams(size)]
    shares = {name: shares_of(model, films, config) for name, config in CONFIGS.items()}
    print(record("operations", {"streams": len(films), "shares": shares}))


def shares_of(
    model: VisionLanguageModel, films: list[Footage], config: EngineConfig
) -> dict[str, float]:
    """Part by part and in `all`, in shares of what the dense model executes."""
    spent: dict[str, int] = {}
    dense = 0
    for film in films:
        for name, operations in _parts(model, film, config):
            if name == "dense":
                dense += operations
            else:
                spent[name] = spent.get(name, 0) + operations
    found = {name: round(operations / dense, 5) for name, operations in spent.items()}
    return {**found, "all": round(sum(spent.values()) / dense, 5)}


def _parts(model: VisionLanguageModel, film: Footage, config: EngineConfig) -> Iterator[Part]:
    """What each slot and each question of one stream costs, once its window is full; and `dense`,
    what that costs the dense model.
    """
    engine, meter = Engine(model, config), FlopMeter(model)
    engine.open("s", film.grid)
    for index, slot in enumerate(film.slots["tracked"]):
        step = engine.push("s", slot)
        if index >= config.window - 1:
            yield "dense", step.work.recompute.total
            yield from _slot_parts(meter, config, slot, step)
            if step.moved:
                yield from _question_parts(engine)


def _slot_parts(
    meter: FlopMeter, config: EngineConfig, slot: Slot, step: SlotResult
) -> Iterator[Part]:
    """Every token of a slot costs the language model the same."""
    kind = "anchors" if slot.kind is SlotKind.ANCHOR else "deltas"
    spent, cells = step.work.spent, slot.kept_count / step.prefilled
    ring = 0 if config.vision_kv_cache else spent.vit - meter.vit(slot.kept)
    yield f"ViT: cells of {kind}", spent.vit - ring
    yield "ViT: ring", ring
    yield f"LLM: cells of {kind}", round(spent.llm * cells)
    yield "LLM: stamps of slots", round(spent.llm * (1 - cells))


def _question_parts(engine: Engine) -> Iterator[Part]:
    """The first question after a slot brings to the present what no slot of the window holds."""
    work = [engine.status().work]
    for _ in range(2):
        engine.ask("s", PROBE)
        work.append(engine.status().work)
    first, second = (later.spent.llm - sooner.spent.llm for sooner, later in pairwise(work))
    yield "LLM: question", second
    yield "LLM: cells that no slot holds", first - second
    yield "dense", work[1].recompute.total - work[0].recompute.total


if __name__ == "__main__":
    main()
