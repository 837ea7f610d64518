"""The slots in a stream's window: which tokens are cached, in which order, at which positions.

Two kinds of position are kept apart:

*Sequence positions* count the cached tokens without gaps, in causal order: prefix, then the slots,
oldest first. They index the stream's KV indices and decide what attends to what.
*Rotary positions* are what the rotary embedding encodes. They only grow while the window slides, so
that cached keys stay valid; the short prefix moves along, just before the oldest slot.

Example, prefix of 10 tokens, a window of two slots of 15 tokens that occupy 20 rotary positions
each (pruned cells leave gaps). A third slot arrives and the oldest one is evicted:

    before   sequence 0-9 prefix   10-24 slot 1   25-39 slot 2
             rotary   0-9 prefix   10-29 slot 1   30-49 slot 2
    after    sequence 0-9 prefix   10-24 slot 2   25-39 slot 3
             rotary  20-29 prefix  30-49 slot 2   50-69 slot 3
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codecsight.core.slot import SlotKind
from codecsight.engine.errors import EngineError
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class CachedSlot:
    """One slot in a window. `tokens` count from 0 and are at the rotary positions `start` onwards;
    `features` are those of its kept cells. `times` and `capture_time` as in `Slot`. When it was
    prefilled, `context_length` tokens were before it; `context_evicted` of them are gone since.
    """

    kind: SlotKind
    kept: Mask
    times: tuple[float, ...]
    capture_time: float
    tokens: Tokens
    features: CellFeatures
    start: int = 0
    context_length: int = 0
    context_evicted: int = 0
    kept_count: int = field(init=False)
    length: int = field(init=False)
    dense_length: int = field(init=False)

    def __post_init__(self) -> None:
        """Compute `length`, in tokens, and `dense_length`, its value if no cell had been pruned."""
        self.kept_count = int(self.kept.sum())
        self.length = len(self.tokens)
        self.dense_length = self.length + self.kept.size - self.kept_count

    @property
    def time(self) -> float:
        """Its time stamp, in stream seconds."""
        return slot_time(self.times)

    @property
    def has_every_cell(self) -> bool:
        """Whether no cell was pruned."""
        return self.kept_count == self.kept.size

    @property
    def cells_start(self) -> int:
        """The rotary position from which its cells count."""
        return self.start + self.tokens.cell_offset

    @property
    def drift(self) -> float:
        """Share of its context that was evicted: an estimate of the error of its cached keys."""
        return self.context_evicted / max(self.context_length, 1)

    def retain(self, cells: Mask) -> Mask:
        """Drop all but the tokens of `cells` [rows, cols]; returns a mask [tokens] of the rest."""
        chosen = cells[self.kept]
        remaining = np.zeros(self.length, np.bool_)
        # Text tokens (the time stamp) go: what remains is a set of cells, not a readable slot.
        remaining[self.tokens.visual.numpy()] = chosen
        self.tokens = self.tokens.select(remaining)
        self.features = self.features.select(chosen)
        self.kept = self.kept & cells
        self.__post_init__()
        return remaining


class Window:
    """Bookkeeping only: no keys, no values, no model.

    `entries` are the newest slots. `remnants` are older slots reduced to the cells of which no
    newer slot holds a token (eviction policy `superseded`). `slots` are both, oldest first.
    """

    def __init__(self, prefix: Tokens) -> None:
        self.prefix = prefix
        self.remnants: list[CachedSlot] = []
        self.entries: list[CachedSlot] = []
        self.next_rotary_position = prefix.extent

    @property
    def slots(self) -> list[CachedSlot]:
        """All slots after the prefix, oldest first."""
        return self.remnants + self.entries

    @property
    def prefix_rotary_start(self) -> int:
        """The rotary position at which the prefix must start, just before the oldest slot."""
        slots = self.slots
        return (slots[0].start if slots else self.next_rotary_position) - self.prefix.extent

    @property
    def length(self) -> int:
        """Tokens in the sequence, prefix included."""
        return self.sequence_start(len(self.remnants) + len(self.entries))

    @property
    def dense_length(self) -> int:
        """Tokens that the sequence would have if nothing had been pruned."""
        return len(self.prefix) + sum(entry.dense_length for entry in self.entries)

    def sequence_start(self, index: int) -> int:
        """The sequence position of the first token of the slot with this index."""
        return len(self.prefix) + sum(entry.length for entry in self.slots[:index])

    def sequence_positions_of(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """The sequence positions of all tokens of these slots, in order."""
        starts = np.cumsum([len(self.prefix), *(entry.length for entry in self.slots)])
        ranges = [np.arange(starts[index], starts[index + 1]) for index in indices]
        return np.concatenate(ranges) if ranges else np.arange(0)

    def append(self, entry: CachedSlot) -> None:
        """Add a slot at the end, at the next rotary positions."""
        entry.start = self.next_rotary_position
        self.next_rotary_position += entry.tokens.extent
        self.entries.append(entry)

    def evict(self, count: int, incoming: Mask | None = None) -> Mask:
        """Evict the oldest `count` entries; returns a mask [sequence] of the tokens that remain.

        With `incoming`, the cells [rows, cols] of the slot that comes next, evicted entries become
        remnants: they keep the cells of which neither it nor a newer slot holds a token.
        """
        old = self.remnants + self.entries[:count]
        self.entries = self.entries[count:]
        masks = [np.zeros(entry.length, np.bool_) for entry in old]
        if incoming is not None:
            masks = self._reduce_to_newest(old, incoming)
        self.remnants = [entry for entry, mask in zip(old, masks, strict=True) if mask.any()]
        # Every remaining slot loses the context that was evicted before it.
        evicted = 0
        for entry, mask in zip(old, masks, strict=True):
            entry.context_evicted += evicted
            evicted += int((~mask).sum())
        for entry in self.entries:
            entry.context_evicted += evicted
        untouched = [np.ones(entry.length, np.bool_) for entry in self.entries]
        return np.concatenate([np.ones(len(self.prefix), np.bool_), *masks, *untouched])

    def _reduce_to_newest(self, old: list[CachedSlot], incoming: Mask) -> list[Mask]:
        newer = np.logical_or.reduce([incoming, *(entry.kept for entry in self.entries)])
        masks = []
        # From the newest of them back, so that only the newest token of a cell remains.
        for entry in reversed(old):
            unique = entry.kept & ~newer
            newer |= entry.kept
            masks.append(entry.retain(unique))
        return masks[::-1]

    def mark_prefilled(self, indices: Sequence[int]) -> None:
        """Record that these slots were just prefilled on the present context."""
        for index in indices:
            entry = self.slots[index]
            entry.context_length, entry.context_evicted = self.sequence_start(index), 0

    def renumber(self) -> None:
        """Restart the rotary positions from 0. Every cached key is invalid after that."""
        self.next_rotary_position = self.prefix.extent
        for entry in self.slots:
            entry.start = self.next_rotary_position
            self.next_rotary_position += entry.tokens.extent

    def newest_elsewhere(self) -> list[tuple[int, Mask]]:
        """For the cells that the last slot lacks: the slots (by index) that hold their newest
        tokens, and which cells [rows, cols] those are in each.
        """
        taken, found = self.entries[-1].kept.copy(), []
        for index in range(len(self.slots) - 2, -1, -1):
            kept = self.slots[index].kept
            if (kept & ~taken).any():
                found.append((index, kept & ~taken))
            taken |= kept
        return found[::-1]


def slot_time(times: Sequence[float]) -> float:
    """The time stamp of a slot: the mean of its frames' times."""
    return sum(times) / len(times)


RefreshPolicy = Callable[[Sequence[CachedSlot]], list[bool]]
"""Maps the slots that remain after a slide, oldest first, to whether each is prefilled again.

Their keys and values were computed while they attended to slots that are evicted now. Reusing them
is cheap and slightly wrong. Computing them again costs prefill but no ViT work, since the window
keeps the features.
"""


def refresh_policy(name: str) -> RefreshPolicy:
    """`none`, `all`, `anchors` (the slots with every cell), `first:N` (the N oldest) or `drift:N`
    (the N that lost the largest share of their context). Raises EngineError for other names.
    """
    match name.split(":"):
        case ["none"]:
            return lambda slots: [False] * len(slots)
        case ["all"]:
            return lambda slots: [True] * len(slots)
        case ["anchors"]:
            return lambda slots: [entry.kind is SlotKind.ANCHOR for entry in slots]
        case ["first", count] if count.isdecimal():
            return lambda slots: [index < int(count) for index in range(len(slots))]
        case ["drift", count] if count.isdecimal():
            return lambda slots: _most_drifted(slots, int(count))
    raise EngineError(
        f"unknown refresh policy {name!r}: use none, all, anchors, first:N or drift:N"
    )


def _most_drifted(slots: Sequence[CachedSlot], count: int) -> list[bool]:
    drifted = sorted(
        (index for index, entry in enumerate(slots) if entry.context_evicted),
        key=lambda index: -slots[index].drift,
    )
    return [index in drifted[:count] for index in range(len(slots))]
