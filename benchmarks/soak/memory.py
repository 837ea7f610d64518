"""Does anything grow while windows slide for hours?"""

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

KEYS = ("rss_mib", "blocks_held", "mib_beside", "tensors")
QUESTIONS = tuple(map(Question.parse, ("Is there a person?", "How many people are there?")))


def memory(
    model: VisionLanguageModel,
    config: EngineConfig,
    films: Sequence[SlotTrace],
    windows: int,
    streams: int = 8,
    times: int = 40,
) -> dict[str, Any]:
    """Streams of these cameras, over and over, until their windows have moved `windows` times in
    all and were asked each time. Samples the process's memory, the pool and the live tensors so
    many `times`.
    """
    engine = Engine(model, config)
    reels = {str(n): films[n % len(films)].slots["tracked"] for n in range(streams)}
    for number, stream in enumerate(reels):
        engine.open(stream, films[number % len(films)].grid)
    samples: list[dict[str, Any]] = []
    moved = index = 0
    while moved < windows:
        for stream, reel in reels.items():
            engine.submit(stream, _again(reel, index), QUESTIONS)
        while engine.busy:
            moved += sum(bool(result.answers) for result in engine.step())
        index += 1
        if moved >= windows * (len(samples) + 1) / times:
            samples.append({"windows": moved, **_measured(engine)})
    return {"streams": streams, "windows": moved, **growth(samples, KEYS), "samples": samples}


def _again(reel: list[Slot], index: int) -> Slot:
    """Slot `index` of a film that begins again with its anchor each time it has ended."""
    round_, place = divmod(index, len(reel) - len(reel) % 8)
    slot = reel[place]
    later = round_ * (len(reel) - len(reel) % 8)
    times = tuple(time + later for time in slot.times)
    return replace(slot, times=times, capture_time=slot.capture_time + later)


def _measured(engine: Engine) -> dict[str, Any]:
    gc.collect()
    status = engine.status()
    return {
        "rss_mib": round(psutil.Process().memory_info().rss / 2**20, 2),
        "blocks_held": status.blocks_allocated,
        "mib_beside": round(status.auxiliary_bytes / 2**20, 2),
        "tokens": sum(stream.tokens for stream in status.streams.values()),
        "tensors": sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()),
    }


def growth(samples: list[dict[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    """The first tenth is warm-up: caches fill, the allocator finds its size. Then the mean of the
    next quarter is held against that of the last.
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
