"""Interface of the measured systems, which get the same streams and the same question.

A system takes slots by `submit_slot` and computes in `step`. Every `STRIDE` slots it answers
`QUESTION` about the last `WINDOW` slots. Time is read from a `Clock`.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Protocol

from benchmarks.density.traces import SlotTrace
from codecsight.core.answer import Value
from codecsight.core.question import Question
from codecsight.core.slot import Slot

WINDOW, STRIDE = 8, 2
QUESTION = Question.parse("How many people are there?")
SlotAnswer = tuple[int, int, Value]
"""Stream, index of the window's newest slot, answer."""
Clock = Callable[[], float]
"""Seconds since some fixed time."""


def clock_for(device: str) -> Clock:
    """Return the clock for a device.

    On the CPU it is the process's CPU time: what one thread of an idle machine would take, without
    the noise of other processes. For a device next to the CPU it is wall time.
    """
    return time.process_time if device == "cpu" else time.perf_counter


class System(Protocol):
    """A system under test. Slots arrive by `submit_slot`; each `step` may return answers."""

    policy: str

    def open(self, stream: int, trace: SlotTrace) -> None:
        """Open a stream."""

    def submit_slot(self, stream: int, index: int) -> None:
        """Submit a stream's slot; the question is due when it completes a stride."""

    def step(self) -> list[SlotAnswer]:
        """Compute the next batch and return its answers."""

    @property
    def busy(self) -> bool:
        """Whether anything is waiting to be computed."""

    def ask(self, stream: int, index: int) -> None:
        """Answer an ad-hoc question about the window that ends with slot `index`."""

    def flops(self) -> float:
        """Operations executed so far."""

    def kv_bytes(self) -> float:
        """Bytes of keys and values held per stream."""


class StatelessSystem(ABC):
    """Base of systems that keep no state of a stream: due windows are computed as a whole, from
    their slots, in the order in which they became due.
    """

    policy = "everything"

    def __init__(self) -> None:
        self._traces: dict[int, SlotTrace] = {}
        self._waiting: deque[tuple[int, int]] = deque()

    def open(self, stream: int, trace: SlotTrace) -> None:
        """Open a stream."""
        self._traces[stream] = trace

    def submit_slot(self, stream: int, index: int) -> None:
        """Queue the window that ends with this slot if it completes a stride."""
        if due(index):
            self._waiting.append((stream, index))

    def ask(self, stream: int, index: int) -> None:
        """Answer about this window at once."""
        self._waiting.append((stream, index))
        self.step()

    @property
    def busy(self) -> bool:
        """Whether anything is waiting to be computed."""
        return bool(self._waiting)

    @abstractmethod
    def step(self) -> list[SlotAnswer]:
        """Answer some of the waiting windows."""


def due(index: int) -> bool:
    """Whether slot `index` completes a stride."""
    return (index + 1 - WINDOW) % STRIDE == 0


def window_of(trace: SlotTrace, index: int) -> list[Slot]:
    """Unpruned slots of the window that ends with slot `index`."""
    return trace.slots["everything"][max(index + 1 - WINDOW, 0) : index + 1]
