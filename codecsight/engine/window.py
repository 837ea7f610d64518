"""The slots a stream's answers rest on: their order, their places and their positions.

*Places* index the KV cache and have no holes: prefix, then the slots, oldest first. *Positions*
are what the rotary embedding sees; they only grow while the window slides, so that cached keys
stay valid, and the short prefix is moved to stand just before the oldest slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.change.slot import SlotKind
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens


@dataclass(slots=True)
class Entry:
    """One slot in a window. `tokens` count from 0 and stand `start` positions further on;
    `features` are those of its kept cells. `times` and `captured` as in `Slot`.
    """

    kind: SlotKind
    kept: NDArray[np.bool_]
    times: tuple[float, ...]
    captured: float
    tokens: Tokens
    features: CellFeatures
    start: int = 0

    @property
    def time(self) -> float:
        """What its stamp says."""
        return slot_time(self.times)

    @property
    def whole(self) -> bool:
        """Whether every cell is there."""
        return bool(self.kept.all())


class Window:
    """Bookkeeping alone: no keys, no values, no model."""

    def __init__(self, prefix: Tokens) -> None:
        self.prefix = prefix
        self.entries: list[Entry] = []
        self.next_position = prefix.extent

    @property
    def prefix_start(self) -> int:
        """Where the prefix must stand: just before the oldest slot."""
        oldest = self.entries[0].start if self.entries else self.next_position
        return oldest - self.prefix.extent

    @property
    def length(self) -> int:
        """Places in use."""
        return self.place(len(self.entries))

    @property
    def dense_length(self) -> int:
        """Places that would be in use if nothing had been pruned."""
        return self.length + sum(int((~entry.kept).sum()) for entry in self.entries)

    def place(self, index: int) -> int:
        """The first place of the entry with this index."""
        return len(self.prefix) + sum(len(entry.tokens) for entry in self.entries[:index])

    def places(self, indices: list[int]) -> Tensor:
        """Every place of these entries, in order; int64."""
        runs = [
            torch.arange(self.place(index), self.place(index) + len(self.entries[index].tokens))
            for index in indices
        ]
        return torch.cat(runs)

    def append(self, entry: Entry) -> None:
        """Put a slot at the end."""
        entry.start = self.next_position
        self.next_position += entry.tokens.extent
        self.entries.append(entry)

    def evict_oldest(self, count: int) -> int:
        """Give up the oldest slots; returns how many places that frees (right after the prefix)."""
        freed = self.place(count) - len(self.prefix)
        del self.entries[:count]
        return freed

    def renumber(self) -> None:
        """Let positions start from 0 again; every cached key is void after that."""
        entries, self.entries = self.entries, []
        self.next_position = self.prefix.extent
        for entry in entries:
            self.append(entry)


def slot_time(times: Sequence[float]) -> float:
    """The time a slot is stamped with: the mean of its frames'."""
    return sum(times) / len(times)
