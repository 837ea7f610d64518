"""How busy a device is, and whether one stream more would still be served in time.

KV blocks bound how many windows fit; this bounds how many can be kept up with. It knows nothing of
clocks: whoever works tells it when.
"""

from collections import deque

from codecsight.engine.errors import DeviceBusy

HORIZON_S = 10.0
"""How far back it looks."""


class Utilization:
    """Refuses a stream when the device would be at work for more than the share `most` of the
    time. What a newcomer will cost is taken to be what the others cost; streams that came just now
    count by as much of the horizon as they were there for. A stream costs its full share only when
    its window is full: for `settling` seconds it is held to cost the share `prior` at least, so
    that a crowd which arrives at once, of which nothing was seen yet, isn't let in whole. It sends
    a slot `every` so often, the first one at once: who came a moment ago has cost a whole slot.
    All times in seconds of one clock.
    """

    def __init__(
        self,
        most: float,
        prior: float = 0.0,
        settling: float = HORIZON_S,
        slot_interval_s: float = 0.0,
    ) -> None:
        self._most, self._prior, self._settling, self._interval = (
            most,
            prior,
            settling,
            slot_interval_s,
        )
        self._since: dict[str, float] = {}
        self._work: deque[tuple[float, float]] = deque()

    def admit(self, stream: str, now: float) -> None:
        """Let a stream in; the first in any case. Raises DeviceBusy."""
        expected = self.expected(now)
        if self._since and expected > self._most:
            raise DeviceBusy(stream, len(self._since), self.share(now), expected)
        self._since[stream] = now

    def remove(self, stream: str) -> None:
        """It is gone."""
        self._since.pop(stream, None)

    def record_busy(self, start: float, end: float) -> None:
        """The device was at work from `start` to `end`."""
        self._work.append((start, end))
        while self._work[0][1] < end - HORIZON_S:
            self._work.popleft()

    def share(self, now: float) -> float:
        """The share of the horizon that it was at work."""
        begin = now - HORIZON_S
        return sum(max(end - max(start, begin), 0.0) for start, end in self._work) / HORIZON_S

    def expected(self, now: float) -> float:
        """The share that those who are there and one more will keep it at work."""
        there = sum(self._for(HORIZON_S, now + self._interval))
        seen = self.share(now) / there if there > 0 else 0.0
        settled = sum(self._for(self._settling, now))
        coming = len(self._since) + 1 - settled
        return settled * seen + coming * max(seen, self._prior)

    def _for(self, seconds: float, now: float) -> list[float]:
        """How much of so long each stream has been there."""
        return [min((now - since) / seconds, 1.0) for since in self._since.values()]
