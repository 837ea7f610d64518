"""Queue of a stream's chunks between its connection and its owner."""

from collections import deque

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind

MAX_WAIT_S = 10.0
"""Default for the longest wait of a chunk. It bounds the age of answers on an overloaded device."""


class ReceiveQueue:
    """First-in first-out queue that skips to the newest anchor when it falls behind.

    If the oldest chunk has waited longer than `max_wait_s` and an anchor is queued, everything
    before the newest anchor is skipped. The stream is then sampled less often, and its answers stay
    current. Times are seconds of one monotonic clock. The credits of the connection bound its size.
    """

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self._max_wait_s = max_wait_s
        self._chunks: deque[tuple[Chunk, float]] = deque()

    def __len__(self) -> int:
        return len(self._chunks)

    def put(self, chunk: Chunk, now: float) -> None:
        """Add a chunk that arrived at `now`."""
        self._chunks.append((chunk, now))

    def take(self, now: float) -> tuple[list[Chunk], Chunk]:
        """Remove and return the skipped chunks and the next chunk. The queue must not be empty."""
        skipped: list[Chunk] = []
        if now - self._chunks[0][1] > self._max_wait_s:
            skipped = [self._chunks.popleft()[0] for _ in range(self._newest_anchor())]
        return skipped, self._chunks.popleft()[0]

    def _newest_anchor(self) -> int:
        """Index of the newest anchor; 0 without one."""
        kinds = [chunk.kind for chunk, _ in self._chunks]
        return max((i for i, kind in enumerate(kinds) if kind is SlotKind.ANCHOR), default=0)
