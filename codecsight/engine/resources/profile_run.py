"""What a stream will cost before one was seen: a made-up one is watched, and the clock read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.engine.attention.pool import blocks_for
from codecsight.engine.config import EngineConfig
from codecsight.engine.engine import Engine
from codecsight.engine.resources.memory import stream_tokens
from codecsight.models.base import VisionLanguageModel

KEPT = 0.5
"""Of the cells: more than most cameras' slots keep, so that rather too little is promised."""
STREAMS = 4
"""Of many, each costs less than one alone."""


def seconds_per_slot(
    model: VisionLanguageModel,
    config: EngineConfig,
    grid: PatchGrid,
    questions: Sequence[Question],
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """What a slot takes of a stream on this grid, of which there are a few, with its part of the
    questions that are put at every stride. A full window is worked off first, and a stride in
    which kernels are compiled. Seconds of `clock`. What it keeps meanwhile is outside the budget.
    """
    room = STREAMS * blocks_for(stream_tokens(model, grid, config))
    engine = Engine(
        model, replace(config, kv_blocks=room, memory_bytes=None, reservation_ratio=1.0)
    )
    streams = [str(number) for number in range(STREAMS)]
    for stream in streams:
        engine.open(stream, grid)
    started = 0.0
    for index in range(config.window + 2 * config.stride):
        if index == config.window + config.stride:
            started = clock()
        for stream in streams:
            engine.submit(stream, _noise(grid, index), questions)
        while engine.busy:
            engine.step()
    return (clock() - started) / (config.stride * STREAMS)


def _noise(grid: PatchGrid, index: int) -> Slot:
    """A stream's slot with this index."""
    random, spec = np.random.default_rng(index), grid.spec
    kept = random.random((grid.rows, grid.cols)) < (KEPT if index else 1)
    count = int(kept.sum())
    return Slot(
        kind=SlotKind.DELTA if index else SlotKind.ANCHOR,
        kept=kept,
        patches=random.integers(
            0, 256, (count, spec.frames, 3, spec.cell, spec.cell), dtype=np.uint8
        ),
        reasons=np.full(count, Reason.PIXELS, np.uint8),
        times=tuple(index + frame / spec.frames for frame in range(spec.frames)),
        capture_time=0.0,
    )
