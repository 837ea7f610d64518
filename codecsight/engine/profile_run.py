"""Measures what a stream will cost before any is open: a run of synthetic streams, timed."""

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

KEPT_RATIO = 0.5
"""Share of the cells that are kept: more than in most cameras' slots, so that the estimate is
rather too high.
"""
STREAMS = 4
"""Streams that share the steps: each costs less than one alone."""


def seconds_per_slot(
    model: VisionLanguageModel,
    config: EngineConfig,
    grid: PatchGrid,
    questions: Sequence[Question],
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of `clock` that a slot of a stream on this grid takes, its part of the `questions`
    asked at every stride included.

    One stride is timed, after the window is full and one stride more has compiled the kernels. The
    memory of the run is not part of `config`'s limits; it is freed at the end.
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
            engine.submit(stream, _noise_slot(grid, index), questions)
        while engine.busy:
            engine.step()
    return (clock() - started) / (config.stride * STREAMS)


def _noise_slot(grid: PatchGrid, index: int) -> Slot:
    """Slot number `index` of a synthetic stream: an anchor first, then deltas of random pixels."""
    random, spec = np.random.default_rng(index), grid.spec
    kept = random.random((grid.rows, grid.cols)) < (KEPT_RATIO if index else 1)
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
