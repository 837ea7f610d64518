"""Isolation: no stream's answers may be affected by another stream.

Streams share forward passes, evict each other's KV, disconnect and reconnect. Each answer is
compared with the stream's own colour, and with the stream's answer when it has the engine alone.
"""

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.soak.colour_streams import COLOUR, ColourTrace, colour_traces, grid_of
from codecsight.engine import AdmissionRefused, Engine, EngineConfig, SlotRefused
from codecsight.models.base import VisionLanguageModel

CLOSE_PROBABILITY, STEP_PROBABILITY = 0.02, 0.7
"""Of closing the chosen stream, and of an engine step after each action."""


def leak(
    model: VisionLanguageModel, config: EngineConfig, steps: int, length: int = 16
) -> dict[str, Any]:
    """Run `steps` engine steps. `config` should overcommit, so that KV is evicted all the time."""
    clients = RandomClients(model, config, colour_traces(model, config, length))
    while clients.counts["steps"] < steps:
        clients.act()
    clients.close_all()
    status = clients.engine.status()
    return {
        **{key: clients.counts[key] for key in COUNTS},
        "wrong_colours": clients.wrong,
        "max_probability_difference": clients.difference,
        "blocks_held_at_end": status.blocks_allocated + clients.engine._scratch.blocks,
        "blocks_free_at_end": clients.engine._pool.free_blocks,
        "auxiliary_bytes_at_end": status.auxiliary_bytes,
        "blocks_in_pool": clients.engine._pool.num_blocks - clients.engine._prefix_blocks,
    }


COUNTS = (
    "steps",
    "shared_steps",
    "slots",
    "answers",
    "evicted",
    "closed",
    "rejected",
    "too_fast",
)


class RandomClients:
    """Two streams of each colour that submit, disconnect and reconnect at random.

    `counts` holds steps (`shared_steps`: with results of several streams), accepted slots, answers,
    evictions, and so on.
    """

    def __init__(
        self, model: VisionLanguageModel, config: EngineConfig, traces: dict[str, ColourTrace]
    ) -> None:
        self.engine, self.counts = Engine(model, config), Counter[str]()
        self.wrong, self.difference = 0, 0.0
        self._grid, self._random = grid_of(model), np.random.default_rng(11)
        self._traces = {f"{colour} {n}": trace for colour, trace in traces.items() for n in (1, 2)}
        self._next: dict[str, int] = {}
        self._pending: dict[int, tuple[ColourTrace, int]] = {}

    def act(self) -> None:
        """Let one stream open, close, or submit a slot and a question; then maybe run a step."""
        stream = str(self._random.choice(list(self._traces)))
        if stream not in self._next:
            self._open(stream)
        elif self._random.random() < CLOSE_PROBABILITY:
            self._close(stream)
        else:
            self._submit(stream)
        if self._random.random() < STEP_PROBABILITY:
            self.step()

    def _open(self, stream: str) -> None:
        try:
            self.engine.open(stream, self._grid)
        except AdmissionRefused:
            self.counts["rejected"] += 1
            self._close(str(self._random.choice(list(self._next))))
        else:
            self._next[stream] = 0

    def _close(self, stream: str) -> None:
        self.counts["closed"] += 1
        self.engine.close(stream)
        del self._next[stream]

    def _submit(self, stream: str) -> None:
        trace, index = self._traces[stream], self._next[stream]
        try:
            self.engine.submit(stream, trace.slots[index])
        except SlotRefused:  # its KV was evicted, or too many slots are queued
            self.counts["evicted" if self.engine.needs_anchor(stream) else "too_fast"] += 1
            self.engine.reset(stream)
            self._next[stream] = 0
            return
        self.counts["slots"] += 1
        self._pending[self.engine.submit_questions(stream, [COLOUR])] = (trace, index)
        self._next[stream] = index + 1
        if index + 1 == len(trace.slots):
            self._close(stream)

    def step(self) -> None:
        """Run one engine step and check every answer."""
        results = self.engine.step()
        self.counts["steps"] += 1
        self.counts["shared_steps"] += len({result.stream for result in results}) > 1
        for result in results:
            trace, index = self._pending.pop(result.ticket, (None, 0))
            for answer in result.answers if trace else ():
                assert trace is not None
                value, probability = trace.alone[index]
                self.counts["answers"] += 1
                self.wrong += not (answer.value == value == trace.colour)
                self.difference = max(self.difference, abs(answer.probability - probability))

    def close_all(self) -> None:
        """Close all streams and wait for the outstanding answers."""
        for stream in list(self._next):
            self._close(stream)
        while self.engine.busy:
            self.step()
