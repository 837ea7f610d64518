"""What a stream has sent and its owner has not taken yet."""

from collections import deque

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind

PATIENCE_S = 10.0
"""How old what is answered about may get, when a device can't keep up."""


class ReceiveQueue:
    """Chunks in order of arrival. Where the oldest waited for more than `patience` seconds and an
    anchor came after it, everything before the newest anchor is passed over: the stream is sampled
    less, and its answers stay about the present. Times are seconds of one monotonic clock.
    """

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._chunks: deque[tuple[Chunk, float]] = deque()

    def __len__(self) -> int:
        return len(self._chunks)

    def put(self, chunk: Chunk, now: float) -> None:
        """It has come."""
        self._chunks.append((chunk, now))

    def take(self, now: float) -> tuple[list[Chunk], Chunk]:
        """What is passed over, and the chunk that is next; there must be one."""
        passed: list[Chunk] = []
        if now - self._chunks[0][1] > self._patience:
            passed = [self._chunks.popleft()[0] for _ in range(self._newest_anchor())]
        return passed, self._chunks.popleft()[0]

    def _newest_anchor(self) -> int:
        """Its index; 0 where there is none."""
        kinds = [chunk.kind for chunk, _ in self._chunks]
        return max((i for i, kind in enumerate(kinds) if kind is SlotKind.ANCHOR), default=0)
