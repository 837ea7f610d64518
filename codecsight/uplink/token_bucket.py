"""Rate limit of one stream's chunks.

Chunks above the agreed rate wait in the `ReceiveQueue` of their own connection until its credits
run out. Only the stream that sends too fast loses slots, not its neighbours.
"""

BURST = 16
"""Default burst: the slots of two windows, which may have queued while a connection was down."""

RATE_TOLERANCE = 1.1
"""Factor by which a stream may permanently exceed the agreed rate, as clocks drift."""


class TokenBucket:
    """Admits `rate` chunks a second, and `burst` at once after a pause."""

    def __init__(self, rate: float, burst: int = BURST) -> None:
        self._interval, self._tolerance = 1 / rate, (burst - 1) / rate
        # Theoretical arrival time of the next chunk (generic cell rate algorithm).
        self._due = float("-inf")

    def reserve(self, now: float) -> float:
        """Reserve a place for one chunk. Returns the seconds it must wait from `now` on."""
        admitted_at = max(self._due - self._tolerance, now)
        self._due = max(self._due, now) + self._interval
        return admitted_at - now
