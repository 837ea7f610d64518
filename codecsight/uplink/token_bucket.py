"""Rate limit of one stream's chunks.

Chunks above the agreed rate wait in the `ReceiveQueue` of their own connection until its credits
run out. Only the stream that sends too fast loses slots, not its neighbours.
"""

BURST = 16
"""Chunks that may come at once: what had waited while a connection was down, two windows' worth."""


class TokenBucket:
    """Lets `rate` chunks a second through, and `burst` at once after a pause."""

    def __init__(self, rate: float, burst: int = BURST) -> None:
        self._every, self._slack = 1 / rate, (burst - 1) / rate
        self._due = float("-inf")

    def reserve(self, now: float) -> float:
        """How long, in seconds, the next chunk must wait; it is counted as let through then."""
        turn = max(self._due - self._slack, now)
        self._due = max(self._due, now) + self._every
        return turn - now
