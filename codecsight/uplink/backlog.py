"""The edge's memory of what the cloud does not have yet: bounded in bytes, honest about loss."""

from bisect import bisect_left
from dataclasses import replace

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind
from codecsight.uplink.messages import Dropped


class Backlog:
    """Numbers a stream's chunks and keeps them until they are acknowledged.

    Every number from `settled` (everything below is acknowledged or reported) up to `next_seq` is
    either a chunk here or in a dropped range; `cursor` is the next one to send. A group is an
    anchor and the deltas after it. When memory runs out the oldest unsent group loses its tail,
    chunk by chunk, its anchor last: so a delta never stands behind a hole. If that was the newest
    group, it is `broken`: deltas are dropped at once until the next anchor.
    """

    def __init__(self, start: int, capacity: int) -> None:
        self.settled = self.cursor = self.next_seq = start
        self.size = 0
        self.dropped = 0
        self.broken = True
        self._capacity = capacity
        self._chunks: list[Chunk] = []
        self._offered: dict[int, float] = {}
        self._drops: list[Dropped] = []

    @property
    def in_flight(self) -> int:
        """Bytes sent and not acknowledged."""
        return sum(chunk.size for chunk in self._chunks[: self._unsent()])

    def offer(self, chunk: Chunk, now: float) -> bool:
        """Number a chunk and keep it; False when that broke the newest group, so that an anchor
        is needed.
        """
        if chunk.kind is SlotKind.DELTA and self.broken:
            self.refuse("no anchor before it")
            return True
        self._chunks.append(replace(chunk, seq=self.next_seq))
        self._offered[self.next_seq] = now
        self.next_seq += 1
        self.size += chunk.size
        self.broken = False
        while self.size > self._capacity:
            self._drop_tail()
        return not self.broken

    def refuse(self, reason: str) -> None:
        """Number a chunk that can't be sent, and report it."""
        self._report(self.next_seq, reason)
        self.next_seq += 1
        self.broken = True

    def settle(self, seq: int) -> None:
        """Forget everything below `seq`: the other end has it, or knows that it won't come."""
        self.settled = max(self.settled, min(seq, self.next_seq))
        self.cursor = max(self.cursor, self.settled)
        self._remove(0, bisect_left(self._chunks, self.settled, key=lambda chunk: chunk.seq))
        self._drops = [
            Dropped(max(drop.first, self.settled), drop.last, drop.reason)
            for drop in self._drops
            if drop.last >= self.settled
        ]

    def rewind(self) -> None:
        """The connection is gone: what was under way may have been lost."""
        self.cursor = self.settled

    def peek(self) -> Chunk | Dropped | None:
        """What stands at the cursor."""
        for drop in self._drops:
            if drop.first <= self.cursor <= drop.last:
                return Dropped(self.cursor, drop.last, drop.reason)
        at = self._unsent()
        return self._chunks[at] if at < len(self._chunks) else None

    def advance(self, item: Chunk | Dropped) -> None:
        """`item`, which stood at the cursor, is sent."""
        self.cursor = (item.seq if isinstance(item, Chunk) else item.last) + 1

    def waiting_since(self, chunk: Chunk) -> float:
        """When a chunk was offered."""
        return self._offered[chunk.seq]

    def skip_to_anchor(self, reason: str) -> bool:
        """Drop all unsent before the newest unsent anchor; False, and no change, without one."""
        kinds = [chunk.kind for chunk in self._chunks]
        begin = self._unsent()
        if SlotKind.ANCHOR not in kinds[begin:]:
            return False
        self._drop(begin, len(kinds) - 1 - kinds[::-1].index(SlotKind.ANCHOR), reason)
        return True

    def clear(self, reason: str) -> None:
        """Drop all unsent; only an anchor can follow."""
        self._drop(self._unsent(), len(self._chunks), reason)
        self.broken = True

    def _unsent(self) -> int:
        """Index of the first chunk that was not sent."""
        return bisect_left(self._chunks, self.cursor, key=lambda chunk: chunk.seq)

    def _drop_tail(self) -> None:
        begin = self._unsent()
        end = begin + 1
        while end < len(self._chunks) and self._chunks[end].kind is SlotKind.DELTA:
            end += 1
        self.broken = end == len(self._chunks)
        self._drop(end - 1, end, "backlog full")

    def _drop(self, begin: int, end: int, reason: str) -> None:
        for chunk in self._chunks[begin:end]:
            self._report(chunk.seq, reason)
        self._remove(begin, end)

    def _remove(self, begin: int, end: int) -> None:
        for chunk in self._chunks[begin:end]:
            self.size -= chunk.size
            del self._offered[chunk.seq]
        del self._chunks[begin:end]

    def _report(self, seq: int, reason: str) -> None:
        """Add to the dropped ranges; neighbours are merged, so that the list stays short."""
        self.dropped += 1
        at = bisect_left(self._drops, seq, key=lambda drop: drop.first)
        self._drops.insert(at, Dropped(seq, seq, reason))
        for left in (at, at - 1):
            self._merge(left)

    def _merge(self, left: int) -> None:
        if left < 0 or left + 1 >= len(self._drops):
            return
        one, other = self._drops[left : left + 2]
        if one.last + 1 == other.first:
            self._drops[left : left + 2] = [Dropped(one.first, other.last, one.reason)]
