"""Bounded send buffer of the edge: the chunks that the cloud has not acknowledged yet.

Example, with A for an anchor and D for a delta. Chunks 100 and 101 are in flight:

    seq     100  101  102  103  104
    chunk   A    D    D    A    D
            first_unacked = 100, next_to_send = 102, next_seq = 105
"""

from bisect import bisect_left
from dataclasses import replace

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind
from codecsight.uplink.messages import Dropped


class Backlog:
    """Numbers a stream's chunks and keeps them until they are acknowledged.

    Every number from `first_unacked` up to `next_seq` (excluded) is either a chunk in the backlog
    or part of a dropped range that is still to be reported. `next_to_send` is the first number
    that was not sent on this connection.

    A group is an anchor and the deltas after it. When `capacity_bytes` is exceeded, the oldest
    unsent group loses chunks from its end, the anchor last, so no delta ever follows a missing
    chunk. If that group was the newest one, `needs_anchor` is set and deltas are dropped until the
    next anchor.
    """

    def __init__(self, start_seq: int, capacity_bytes: int) -> None:
        self.first_unacked = self.next_to_send = self.next_seq = start_seq
        self.size_bytes = 0
        self.dropped_count = 0
        self.needs_anchor = True
        self._capacity_bytes = capacity_bytes
        self._chunks: list[Chunk] = []
        self._queued_at: dict[int, float] = {}
        self._drops: list[Dropped] = []

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent and not acknowledged."""
        return sum(chunk.size for chunk in self._chunks[: self._first_unsent()])

    def offer(self, chunk: Chunk, now: float) -> bool:
        """Number a chunk and store it. Returns False if this dropped chunks of the newest group,
        so that an anchor must come next.
        """
        if chunk.kind is SlotKind.DELTA and self.needs_anchor:
            self.drop_new("no anchor before the delta")
            return True
        self._chunks.append(replace(chunk, seq=self.next_seq))
        self._queued_at[self.next_seq] = now
        self.next_seq += 1
        self.size_bytes += chunk.size
        self.needs_anchor = False
        while self.size_bytes > self._capacity_bytes:
            self._drop_oldest_tail()
        return not self.needs_anchor

    def drop_new(self, reason: str) -> None:
        """Give a chunk that can't be sent a number, and report that number as dropped."""
        self._record_drop(self.next_seq, reason)
        self.next_seq += 1
        self.needs_anchor = True

    def acknowledge_below(self, seq: int) -> None:
        """Remove everything below `seq`: the cloud holds it, or was told that it was dropped."""
        self.first_unacked = max(self.first_unacked, min(seq, self.next_seq))
        self.next_to_send = max(self.next_to_send, self.first_unacked)
        self._remove(0, self._index_of(self.first_unacked))
        self._drops = [
            Dropped(max(drop.first, self.first_unacked), drop.last, drop.reason)
            for drop in self._drops
            if drop.last >= self.first_unacked
        ]

    def rewind(self) -> None:
        """Send everything unacknowledged again: chunks in flight may be lost."""
        self.next_to_send = self.first_unacked

    def peek(self) -> Chunk | Dropped | None:
        """Return the next chunk or dropped range to send, without advancing."""
        for drop in self._drops:
            if drop.first <= self.next_to_send <= drop.last:
                return Dropped(self.next_to_send, drop.last, drop.reason)
        index = self._first_unsent()
        return self._chunks[index] if index < len(self._chunks) else None

    def advance(self, item: Chunk | Dropped) -> None:
        """Mark `item`, returned by `peek`, as sent."""
        self.next_to_send = (item.seq if isinstance(item, Chunk) else item.last) + 1

    def oldest_queued_at(self) -> float | None:
        """Time at which the oldest unsent chunk was offered; None without one."""
        index = self._first_unsent()
        return self._queued_at[self._chunks[index].seq] if index < len(self._chunks) else None

    def oldest_unacked_at(self) -> float | None:
        """Time at which the oldest chunk was offered that is not acknowledged; None without one."""
        return self._queued_at[self._chunks[0].seq] if self._chunks else None

    @property
    def bytes_before_anchor(self) -> int:
        """Bytes of the unsent chunks that stand before the newest unsent anchor."""
        size = before = 0
        for chunk in self._chunks[self._first_unsent() :]:
            if chunk.kind is SlotKind.ANCHOR:
                before = size
            size += chunk.size
        return before

    def skip_to_anchor(self, reason: str) -> bool:
        """Drop every unsent chunk before the newest unsent anchor. Returns False, with nothing
        changed, if there is no unsent anchor.
        """
        kinds = [chunk.kind for chunk in self._chunks]
        begin = self._first_unsent()
        if SlotKind.ANCHOR not in kinds[begin:]:
            return False
        self._drop(begin, len(kinds) - 1 - kinds[::-1].index(SlotKind.ANCHOR), reason)
        return True

    def drop_unsent(self, reason: str) -> None:
        """Drop every unsent chunk; only an anchor can follow."""
        self._drop(self._first_unsent(), len(self._chunks), reason)
        self.needs_anchor = True

    def _first_unsent(self) -> int:
        return self._index_of(self.next_to_send)

    def _index_of(self, seq: int) -> int:
        """Index of the first chunk numbered `seq` or higher."""
        return bisect_left(self._chunks, seq, key=lambda chunk: chunk.seq)

    def _drop_oldest_tail(self) -> None:
        """Drop the last chunk of the oldest unsent group."""
        begin = self._first_unsent()
        end = begin + 1
        while end < len(self._chunks) and self._chunks[end].kind is SlotKind.DELTA:
            end += 1
        self.needs_anchor = end == len(self._chunks)
        self._drop(end - 1, end, "backlog full")

    def _drop(self, begin: int, end: int, reason: str) -> None:
        for chunk in self._chunks[begin:end]:
            self._record_drop(chunk.seq, reason)
        self._remove(begin, end)

    def _remove(self, begin: int, end: int) -> None:
        for chunk in self._chunks[begin:end]:
            self.size_bytes -= chunk.size
            del self._queued_at[chunk.seq]
        del self._chunks[begin:end]

    def _record_drop(self, seq: int, reason: str) -> None:
        """Add `seq` to the dropped ranges. Adjacent ranges are merged to keep the list short."""
        self.dropped_count += 1
        index = bisect_left(self._drops, seq, key=lambda drop: drop.first)
        self._drops.insert(index, Dropped(seq, seq, reason))
        for left in (index, index - 1):
            self._merge_with_next(left)

    def _merge_with_next(self, left: int) -> None:
        if left < 0 or left + 1 >= len(self._drops):
            return
        one, other = self._drops[left : left + 2]
        if one.last + 1 == other.first:
            self._drops[left : left + 2] = [Dropped(one.first, other.last, one.reason)]
