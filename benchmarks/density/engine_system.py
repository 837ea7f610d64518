"""This engine as a system of the density benchmark."""

from dataclasses import replace
from typing import Any

from benchmarks.density.systems import QUESTION, SlotAnswer
from benchmarks.density.traces import SlotTrace
from codecsight.engine import Engine, EngineConfig

BLOCKS_PER_STREAM = 64
"""KV blocks per stream: enough for its window and a question."""


class EngineSystem:
    """This engine with a change policy and a configuration; `prefilled` counts tokens."""

    def __init__(self, model: Any, policy: str, streams: int, config: EngineConfig) -> None:
        config = replace(config, kv_blocks=BLOCKS_PER_STREAM * streams)
        self.policy, self._engine = policy, Engine(model, config)
        self._traces: dict[int, SlotTrace] = {}
        self._tickets: dict[int, tuple[int, int]] = {}
        self.prefilled = 0

    def open(self, stream: int, trace: SlotTrace) -> None:
        """Open a stream."""
        self._traces[stream] = trace
        self._engine.open(str(stream), trace.grid)

    def submit_slot(self, stream: int, index: int) -> None:
        """Submit a stream's slot with the standing question."""
        slot = self._traces[stream].slots[self.policy][index]
        ticket = self._engine.submit(str(stream), slot, [QUESTION])
        self._tickets[ticket] = (stream, index)

    def step(self) -> list[SlotAnswer]:
        """Run one engine step and return its answers."""
        answers = []
        for result in self._engine.step():
            assert result.error is None, result.error
            assert result.slot_result is not None
            self.prefilled += result.slot_result.prefilled + result.slot_result.refreshed
            stream, index = self._tickets.pop(result.ticket)
            answers += [(stream, index, answer.value) for answer in result.answers]
        return answers

    def ask(self, stream: int, index: int) -> None:
        """Answer about the newest window."""
        del index  # the engine holds the newest window only
        self._engine.ask(str(stream), QUESTION)

    @property
    def busy(self) -> bool:
        """Whether anything is waiting to be computed."""
        return self._engine.busy

    def flops(self) -> float:
        """Operations executed so far."""
        return self._engine.status().work.spent.total

    def kv_bytes(self) -> float:
        """Bytes of keys and values held per stream, the ViT's included."""
        status = self._engine.status()
        held = status.blocks_allocated * self._engine._pool.block_bytes
        return (held + sum(each.vision_cache_bytes for each in status.streams.values())) / len(
            status.streams
        )
