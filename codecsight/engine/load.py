"""How busy a device is, and whether one stream more would still be served in time.

KV blocks bound how many windows fit; this bounds how many can be kept up with. It knows nothing of
clocks: whoever works tells it when.
"""

from collections import deque

from codecsight.engine.errors import DeviceBusy

HORIZON_S = 10.0
"""How far back it looks."""


class Load:
    """Refuses a stream when the device would be at work for more than the share `most` of the
    time. What a newcomer will cost is taken to be what the others cost; streams that came just now
    count by as much of the horizon as they were there for. All times in seconds of one clock.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._since: dict[str, float] = {}
        self._work: deque[tuple[float, float]] = deque()

    def admit(self, stream: str, now: float) -> None:
        """Let a stream in. Raises DeviceBusy."""
        share = self.expected(len(self._since) + 1, now)
        if share > self._most:
            raise DeviceBusy(stream, len(self._since), self.share(now))
        self._since[stream] = now

    def leave(self, stream: str) -> None:
        """It is gone."""
        self._since.pop(stream, None)

    def worked(self, start: float, end: float) -> None:
        """The device was at work from `start` to `end`."""
        self._work.append((start, end))
        while self._work[0][1] < end - HORIZON_S:
            self._work.popleft()

    def share(self, now: float) -> float:
        """The share of the horizon that it was at work."""
        begin = now - HORIZON_S
        return sum(max(end - max(start, begin), 0.0) for start, end in self._work) / HORIZON_S

    def expected(self, streams: int, now: float) -> float:
        """The share that so many streams would keep it at work; 0 as long as nothing is known."""
        there = sum(min((now - since) / HORIZON_S, 1.0) for since in self._since.values())
        return self.share(now) / there * streams if there > 0 else 0.0
