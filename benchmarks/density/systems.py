"""The systems that are measured: the same streams, the same question at the same moments."""

from abc import ABC, abstractmethod
from collections import deque
from typing import Protocol

from benchmarks.density.traces import SlotTrace
from codecsight.core.answer import Value
from codecsight.core.question import Question
from codecsight.core.slot import Slot

WINDOW, STRIDE = 8, 2
QUESTION = Question.parse("How many people are there?")
Said = tuple[int, int, Value]
"""Stream, slot, answer."""


class System(Protocol):
    """Slots come in by `take`; each `work` does the next piece and returns what was answered."""

    policy: str

    def open(self, stream: int, film: SlotTrace) -> None:
        """A camera is there."""

    def take(self, stream: int, index: int) -> None:
        """A stream's slot has come; the question is due when a stride is complete."""

    def work(self) -> list[Said]:
        """Do something."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""

    def ask(self, stream: int, index: int) -> None:
        """Answer a question that nobody expected, about the window that ends with slot `index`."""

    def flops(self) -> float:
        """Operations so far."""

    def kv_bytes(self) -> float:
        """Keys and values held, per stream."""


class StatelessSystem(ABC):
    """What all systems share that keep nothing of a stream: every due window is worked off whole,
    from its films, in the order in which it came due.
    """

    policy = "everything"

    def __init__(self) -> None:
        self._films: dict[int, SlotTrace] = {}
        self._waiting: deque[tuple[int, int]] = deque()

    def open(self, stream: int, film: SlotTrace) -> None:
        """A camera is there."""
        self._films[stream] = film

    def take(self, stream: int, index: int) -> None:
        """A stream's slot has come."""
        if due(index):
            self._waiting.append((stream, index))

    def ask(self, stream: int, index: int) -> None:
        """Answer out of turn."""
        self._waiting.append((stream, index))
        self.work()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting)

    @abstractmethod
    def work(self) -> list[Said]:
        """Answer some of what waits."""


def due(index: int) -> bool:
    """Whether slot `index` completes a stride."""
    return (index + 1 - WINDOW) % STRIDE == 0


def window_of(film: SlotTrace, index: int) -> list[Slot]:
    """The whole slots of the window that ends with slot `index`."""
    return film.slots["everything"][max(index + 1 - WINDOW, 0) : index + 1]
