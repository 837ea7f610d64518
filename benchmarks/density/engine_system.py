"""This engine."""

from dataclasses import replace
from typing import Any

from benchmarks.density.systems import QUESTION, Said
from benchmarks.density.traces import SlotTrace
from codecsight.engine import Engine, EngineConfig

BLOCKS_PER_STREAM = 64


class EngineSystem:
    """This engine, under a policy and a configuration."""

    def __init__(self, model: Any, policy: str, streams: int, config: EngineConfig) -> None:
        config = replace(config, kv_blocks=BLOCKS_PER_STREAM * streams)
        self.policy, self._engine = policy, Engine(model, config)
        self._films: dict[int, SlotTrace] = {}
        self._tickets: dict[int, tuple[int, int]] = {}
        self.prefilled = 0

    def open(self, stream: int, film: SlotTrace) -> None:
        """A camera is there."""
        self._films[stream] = film
        self._engine.open(str(stream), film.grid)

    def take(self, stream: int, index: int) -> None:
        """A stream's slot has come."""
        slot = self._films[stream].slots[self.policy][index]
        ticket = self._engine.submit(str(stream), slot, [QUESTION])
        self._tickets[ticket] = (stream, index)

    def work(self) -> list[Said]:
        """Do the next piece."""
        said = []
        for result in self._engine.step():
            assert result.error is None, result.error
            assert result.slot_result is not None
            self.prefilled += result.slot_result.prefilled + result.slot_result.refreshed
            stream, index = self._tickets.pop(result.ticket)
            said += [(stream, index, answer.value) for answer in result.answers]
        return said

    def ask(self, stream: int, index: int) -> None:
        """Answer out of turn."""
        del index  # it always stands at the newest
        self._engine.ask(str(stream), QUESTION)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return self._engine.busy

    def flops(self) -> float:
        """Operations so far."""
        return self._engine.status().work.spent.total

    def kv_bytes(self) -> float:
        """Keys and values held, per stream, those of the ViT too."""
        status = self._engine.status()
        held = status.blocks_allocated * self._engine._pool.block_bytes
        return (held + sum(each.vision_cache_bytes for each in status.streams.values())) / len(
            status.streams
        )
