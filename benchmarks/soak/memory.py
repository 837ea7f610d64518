"""Memory growth of the engine while windows move for hours."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.density.traces import SlotTrace
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig
from codecsight.models.base import VisionLanguageModel

KEYS = ("rss_mib", "blocks_held", "auxiliary_mib", "tensors")
QUESTIONS = tuple(map(Question.parse, ("Is there a person?", "How many people are there?")))


def memory(
    model: VisionLanguageModel,
    config: EngineConfig,
    traces: Sequence[SlotTrace],
    windows: int,
    streams: int = 8,
    times: int = 40,
) -> dict[str, Any]:
    """Loop the traces until the windows have moved `windows` times in total, each with questions.

    Takes `times` samples of the process's memory, the KV pool and the live tensors.
    """
    engine = Engine(model, config)
    loops = {str(n): traces[n % len(traces)].slots["tracked"] for n in range(streams)}
    for number, stream in enumerate(loops):
        engine.open(stream, traces[number % len(traces)].grid)
    samples: list[dict[str, Any]] = []
    moved = index = 0
    while moved < windows:
        for stream, slots in loops.items():
            engine.submit(stream, _again(slots, index), QUESTIONS)
        while engine.busy:
            moved += sum(bool(result.answers) for result in engine.step())
        index += 1
        if moved >= windows * (len(samples) + 1) / times:
            samples.append({"windows": moved, **_sample(engine)})
    return {"streams": streams, "windows": moved, **growth(samples, KEYS), "samples": samples}


def _again(slots: list[Slot], index: int) -> Slot:
    """Return slot `index` of a trace that restarts with its anchor whenever it ends."""
    round_, position = divmod(index, len(slots) - len(slots) % 8)
    slot = slots[position]
    offset = round_ * (len(slots) - len(slots) % 8)
    times = tuple(time + offset for time in slot.times)
    return replace(slot, times=times, capture_time=slot.capture_time + offset)


def _sample(engine: Engine) -> dict[str, Any]:
    gc.collect()
    status = engine.status()
    return {
        "rss_mib": round(psutil.Process().memory_info().rss / 2**20, 2),
        "blocks_held": status.blocks_allocated,
        "auxiliary_mib": round(status.auxiliary_bytes / 2**20, 2),
        "tokens": sum(stream.tokens for stream in status.streams.values()),
        "tensors": sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects()),
    }


def growth(samples: list[dict[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    """Return means of an early and a late quarter of the samples for each key.

    The first tenth is left out as warm-up: caches fill, the allocator reaches its size.
    """
    settled = samples[len(samples) // 10 :]
    quarter = max(len(settled) // 4, 1)

    def mean(key: str, part: list[dict[str, Any]]) -> float:
        return float(np.mean([sample[key] for sample in part]))

    return {
        f"{key}_{name}": round(mean(key, part), 2)
        for key in keys
        for name, part in (("early", settled[:quarter]), ("late", settled[-quarter:]))
    }
