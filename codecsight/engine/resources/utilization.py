"""How busy a device is, and whether it has time for one more stream.

KV blocks bound how many windows fit; this bounds how many streams can be served in time. It reads
no clock: callers pass times, in seconds of one monotonic clock.
"""

from collections import deque

from codecsight.engine.errors import DeviceBusy

HORIZON_S = 10.0
"""Length of the time that is averaged over."""


class Utilization:
    """Rejects a stream when the device would be busy for more than the share `max_utilization`.

    A new stream is expected to cost the mean of the open ones. Streams that came just now count by
    the part of the horizon in which they were open. A stream costs its full share only when its
    window is full: for `settling_s` seconds it counts as at least the share `prior`, so that many
    streams that come at once, before anything was measured, are not all admitted. A stream sends
    its first slot at once and then one every `slot_interval_s`, so just after its start it has
    already cost a whole slot.
    """

    def __init__(
        self,
        max_utilization: float,
        prior: float = 0.0,
        settling_s: float = HORIZON_S,
        slot_interval_s: float = 0.0,
    ) -> None:
        self._max, self._prior = max_utilization, prior
        self._settling_s, self._slot_interval_s = settling_s, slot_interval_s
        self._opened_at: dict[str, float] = {}
        self._busy: deque[tuple[float, float]] = deque()

    def admit(self, stream: str, now: float) -> None:
        """Admit a stream; the first one always. Raises DeviceBusy."""
        expected = self.expected(now)
        if self._opened_at and expected > self._max:
            raise DeviceBusy(stream, len(self._opened_at), self.share(now), expected)
        self._opened_at[stream] = now

    def remove(self, stream: str) -> None:
        """Stop counting a stream that was closed."""
        self._opened_at.pop(stream, None)

    def record_busy(self, start: float, end: float) -> None:
        """The device was busy from `start` to `end`."""
        self._busy.append((start, end))
        while self._busy[0][1] < end - HORIZON_S:
            self._busy.popleft()

    def share(self, now: float) -> float:
        """The share of the horizon before `now` in which the device was busy."""
        begin = now - HORIZON_S
        return sum(max(end - max(start, begin), 0.0) for start, end in self._busy) / HORIZON_S

    def expected(self, now: float) -> float:
        """The share for which the device will be busy with one stream more."""
        # Stream-horizons behind the measured share: a stream open for half of it counts as half.
        open_for = sum(self._open_fractions(HORIZON_S, now + self._slot_interval_s))
        per_stream = self.share(now) / open_for if open_for > 0 else 0.0
        settled = sum(self._open_fractions(self._settling_s, now))
        unsettled = len(self._opened_at) + 1 - settled
        return settled * per_stream + unsettled * max(per_stream, self._prior)

    def _open_fractions(self, seconds: float, now: float) -> list[float]:
        """For each stream, for which part of the last `seconds` it was open."""
        return [min((now - opened) / seconds, 1.0) for opened in self._opened_at.values()]
