"""What the start of a demo waits for, by name, and whether it still makes progress."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

STALL_S = 300.0
"""Longest time between two steps of the start. A busy machine takes a minute to load a model."""


COMPILED = "compiled image code (once)"
CLOUD_RAY = "Ray of the cloud"
MODEL = "model"
SITE_RAY = "Ray of the site"


def connected(stream: str) -> str:
    """Step: the camera of the stream delivers pictures, and the cloud knows it."""
    return f"camera {stream.partition('.')[2]}"


def first_answer(stream: str) -> str:
    """Step: the cloud has answered a question about the stream."""
    return f"first answer for {stream.partition('.')[2]}"


def steps_of(streams: Iterable[str]) -> tuple[str, ...]:
    """All steps of the demo's start."""
    streams = tuple(streams)
    before = (COMPILED, CLOUD_RAY, MODEL, SITE_RAY)
    return (*before, *map(connected, streams), *map(first_answer, streams))


@dataclass(slots=True)
class StartUp:
    """Named steps of a start, in the order in which they usually end.

    There is no limit for the whole start: it has stalled when no step has ended for STALL_S.
    """

    steps: tuple[str, ...]
    done: dict[str, float] = field(default_factory=dict)
    _begin: float = field(default_factory=lambda: time.monotonic())
    _progress: float = field(default_factory=lambda: time.monotonic())

    def mark(self, steps: Iterable[str]) -> list[str]:
        """Note that `steps` have ended; returns those that are news."""
        now = time.monotonic()
        news = [step for step in steps if step in self.steps and step not in self.done]
        for step in news:
            self.done[step] = now - self._begin
            self._progress = now
        return news

    @property
    def waiting(self) -> list[str]:
        """The steps that have not ended."""
        return [step for step in self.steps if step not in self.done]

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._begin

    @property
    def stalled(self) -> bool:
        """Whether no step has ended for STALL_S."""
        return bool(self.waiting) and time.monotonic() - self._progress > STALL_S
