"""How fast a stream's chunks are taken in.

What comes faster than agreed waits at its own connection (`Inbox`), whose credits then run out: so
it is the stream itself that loses, and no other stream pays for the flood.
"""

BURST = 16
"""Chunks that may come at once: what had waited while a connection was down, two windows' worth."""


class Pace:
    """Lets `rate` chunks a second through, and `burst` at once after a pause."""

    def __init__(self, rate: float, burst: int = BURST) -> None:
        self._every, self._slack = 1 / rate, (burst - 1) / rate
        self._due = float("-inf")

    def delay(self, now: float) -> float:
        """How long, in seconds, the next chunk must wait; it is counted as let through then."""
        turn = max(self._due - self._slack, now)
        self._due = max(self._due, now) + self._every
        return turn - now
