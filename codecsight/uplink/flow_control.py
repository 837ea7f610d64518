"""How much an edge may have on the way, by how long acknowledgements take: no clock, no sockets.

The network's buffers hide a thin link: everything that is written leaves at once, and stands in a
queue for half a minute. So the bytes in flight are bounded by what the link was seen to carry in
about a second. What is not in flight waits in the backlog, where it can still be dropped in favour
of something newer.

    acknowledged within TARGET_S     the window grows by what was acknowledged (as slow start does)
    later than MAX_DELAY_S           it shrinks to what the link carries in TARGET_S
"""

from collections import deque
from dataclasses import dataclass

FIRST_WINDOW = 128 << 10
MIN_WINDOW = 8 << 10
MAX_WINDOW = 8 << 20
TARGET_S = 1.0
MAX_DELAY_S = 2.0
MIN_INTERVAL_S = 0.5
"""Shortest time over which a rate is measured."""
SMOOTHING = 0.5

LATE_S = 3.0
"""Age from which on a chunk is late, if a newer anchor is at hand."""
MAX_CATCH_UP_S = 1.0
"""Longest time that a link may need to send what is late; otherwise it is skipped."""


@dataclass(frozen=True, slots=True)
class _Sent:
    seq: int
    size: int
    at: float


class FlowControl:
    """The window and the measured rate of one stream's connection. Times are monotonic seconds.

    `window` bounds the bytes in flight. `rate` is what was acknowledged per second while something
    was in flight; None before the first measurement.
    """

    def __init__(self) -> None:
        self.window = float(FIRST_WINDOW)
        self.rate: float | None = None
        self._in_flight: deque[_Sent] = deque()
        self._since = 0.0  # start of the interval that is being measured
        self._acknowledged = 0  # bytes, in it
        self._reduced_at = float("-inf")

    def sent(self, seq: int, size: int, now: float) -> None:
        """Record a chunk that leaves now."""
        if not self._in_flight:
            self._since, self._acknowledged = now, 0
        self._in_flight.append(_Sent(seq, size, now))

    def acknowledged_below(self, seq: int, now: float) -> None:
        """Record that all chunks below `seq` have arrived."""
        done = 0
        delay = 0.0
        while self._in_flight and self._in_flight[0].seq < seq:
            first = self._in_flight.popleft()
            done, delay = done + first.size, now - first.at
        if not done:
            return
        self._acknowledged += done
        self._measure(now)
        self._adjust(done, delay, now)

    def disconnected(self) -> None:
        """Forget what was in flight. Window and rate stay: the link is probably the same."""
        self._in_flight.clear()

    def must_skip(self, waited_s: float, size: int) -> bool:
        """Whether to skip `size` bytes that stand before a newer anchor, the first of which have
        waited for `waited_s`: they are late, and the link is too thin to catch up.
        """
        return waited_s > LATE_S and self.rate is not None and size > MAX_CATCH_UP_S * self.rate

    def _measure(self, now: float) -> None:
        elapsed = now - self._since
        if elapsed < MIN_INTERVAL_S:
            return
        measured = self._acknowledged / elapsed
        known = measured if self.rate is None else self.rate
        # What is measured is at most what was offered. So more counts at once, less slowly.
        self.rate = max(measured, SMOOTHING * known + (1 - SMOOTHING) * measured)
        self._since, self._acknowledged = now, 0

    def _adjust(self, done: int, delay: float, now: float) -> None:
        if delay <= TARGET_S:
            self.window = min(self.window + done, MAX_WINDOW)
        elif delay > MAX_DELAY_S and now - self._reduced_at > delay:
            carried = self.window / 2 if self.rate is None else self.rate * TARGET_S
            self.window = max(min(self.window, carried), MIN_WINDOW)
            self._reduced_at = now
