"""The slots a stream's answers rest on: their order, their places and their positions.

*Places* are the order of what is cached and have no holes: prefix, then the slots, oldest first.
*Positions* are what the rotary embedding sees; they only grow while the window slides, so that
cached keys stay valid, and the short prefix is moved to stand just before the oldest slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codecsight.core.slot import SlotKind
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class CachedSlot:
    """One slot in a window. `tokens` count from 0 and stand `start` positions further on;
    `features` are those of its kept cells. `times` and `capture_time` as in `Slot`. Of the `seen`
    tokens before it when it was computed, `lost` are gone since.
    """

    kind: SlotKind
    kept: Mask
    times: tuple[float, ...]
    capture_time: float
    tokens: Tokens
    features: CellFeatures
    start: int = 0
    seen: int = 0
    lost: int = 0
    kept_count: int = field(init=False)
    length: int = field(init=False)
    dense_length: int = field(init=False)

    def __post_init__(self) -> None:
        """`length` is in tokens; `dense_length` would be if no cell had been pruned."""
        self.kept_count = int(self.kept.sum())
        self.length = len(self.tokens)
        self.dense_length = self.length + self.kept.size - self.kept_count

    @property
    def time(self) -> float:
        """What its stamp says."""
        return slot_time(self.times)

    @property
    def whole(self) -> bool:
        """Whether every cell is there."""
        return self.kept_count == self.kept.size

    @property
    def cells_start(self) -> int:
        """The position that its cells count from."""
        return self.start + self.tokens.cell_offset

    @property
    def drift(self) -> float:
        """The share of its context that is gone: how far its keys and values may be off."""
        return self.lost / max(self.seen, 1)

    def thin(self, cells: Mask) -> Mask:
        """Keep nothing but these `cells` [rows, cols]; returns which of its tokens stay."""
        chosen = cells[self.kept]
        stay = np.zeros(self.length, np.bool_)
        stay[self.tokens.visual.numpy()] = chosen
        self.tokens, self.features = self.tokens.select(stay), self.features.select(chosen)
        self.kept = self.kept & cells
        self.__post_init__()
        return stay


class Window:
    """Bookkeeping alone: no keys, no values, no model. `entries` are the newest slots, `remains`
    the cells that outlived theirs; `slots` are both, oldest first.
    """

    def __init__(self, prefix: Tokens) -> None:
        self.prefix = prefix
        self.remains: list[CachedSlot] = []
        self.entries: list[CachedSlot] = []
        self.next_position = prefix.extent

    @property
    def slots(self) -> list[CachedSlot]:
        """Everything after the prefix."""
        return self.remains + self.entries

    @property
    def prefix_start(self) -> int:
        """Where the prefix must stand: just before the oldest slot."""
        slots = self.slots
        return (slots[0].start if slots else self.next_position) - self.prefix.extent

    @property
    def length(self) -> int:
        """Places in use."""
        return self.place(len(self.remains) + len(self.entries))

    @property
    def dense_length(self) -> int:
        """Places that would be in use if nothing had been pruned."""
        return len(self.prefix) + sum(entry.dense_length for entry in self.entries)

    def place(self, index: int) -> int:
        """The first place of the slot with this index."""
        return len(self.prefix) + sum(entry.length for entry in self.slots[:index])

    def places(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """Every place of these slots, in order."""
        starts = np.cumsum([len(self.prefix), *(entry.length for entry in self.slots)])
        runs = [np.arange(starts[index], starts[index + 1]) for index in indices]
        return np.concatenate(runs) if runs else np.arange(0)

    def append(self, entry: CachedSlot) -> None:
        """Put a slot at the end."""
        entry.start = self.next_position
        self.next_position += entry.tokens.extent
        self.entries.append(entry)

    def evict(self, count: int, incoming: Mask | None = None) -> Mask:
        """Give up the oldest `count` entries. With `incoming`, the cells of the slot to come, they
        live on in those cells that neither it nor a newer slot holds. Returns which of the places
        stay.
        """
        old = self.remains + self.entries[:count]
        self.entries = self.entries[count:]
        masks = [np.zeros(entry.length, np.bool_) for entry in old]
        if incoming is not None:
            masks = self._thin(old, incoming)
        self.remains = [entry for entry, mask in zip(old, masks, strict=True) if mask.any()]
        gone = 0
        for entry, mask in zip(old, masks, strict=True):
            entry.lost += gone
            gone += int((~mask).sum())
        for entry in self.entries:
            entry.lost += gone
        whole = [np.ones(entry.length, np.bool_) for entry in self.entries]
        return np.concatenate([np.ones(len(self.prefix), np.bool_), *masks, *whole])

    def _thin(self, old: list[CachedSlot], incoming: Mask) -> list[Mask]:
        newer = np.logical_or.reduce([incoming, *(entry.kept for entry in self.entries)])
        masks = []
        for entry in reversed(old):
            unique = entry.kept & ~newer
            newer |= entry.kept
            masks.append(entry.thin(unique))
        return masks[::-1]

    def mark_prefilled(self, indices: Sequence[int]) -> None:
        """These slots have just been prefilled on what is there now."""
        for index in indices:
            entry = self.slots[index]
            entry.seen, entry.lost = self.place(index), 0

    def renumber(self) -> None:
        """Let positions start from 0 again; every cached key is void after that."""
        self.next_position = self.prefix.extent
        for entry in self.slots:
            entry.start = self.next_position
            self.next_position += entry.tokens.extent

    def newest(self) -> list[tuple[int, Mask]]:
        """Which slot (by index) holds the newest token of which cells, the last slot's aside."""
        taken, found = self.entries[-1].kept.copy(), []
        for index in range(len(self.slots) - 2, -1, -1):
            kept = self.slots[index].kept
            if (kept & ~taken).any():
                found.append((index, kept & ~taken))
            taken |= kept
        return found[::-1]


def slot_time(times: Sequence[float]) -> float:
    """The time a slot is stamped with: the mean of its frames'."""
    return sum(times) / len(times)
