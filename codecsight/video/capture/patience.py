"""How long a live source waits for a camera's next packet."""

FEW_PACKETS = 2
SLACK = 3.0  # times the longest distance between two packets
MAX_TIMEOUT_S = 30.0
_DECAY = 0.8  # of the longest distance, per packet


class Patience:
    """Waits `timeout_s` for packets, and longer for slow cameras, up to MAX_TIMEOUT_S.

    A camera may send a picture every ten seconds. That looks like one that is frozen: next to
    nothing comes before the time is up. So the next connection gets twice the time. Where packets
    then come often, the one after it gets `timeout_s` again.
    """

    def __init__(self, timeout_s: float, stall_s: float) -> None:
        self.timeout_s = self._least_s = timeout_s
        self._least_stall_s = stall_s
        self._packets, self._last = 0, 0.0
        self._longest_s = 0.0

    @property
    def stall_s(self) -> float:
        """Seconds without a packet after which the camera counts as stalled."""
        return max(self._least_stall_s, min(SLACK * self._longest_s, MAX_TIMEOUT_S))

    def connecting(self) -> None:
        """Register the start of a connection."""
        self._packets = 0

    def received(self, now: float) -> None:
        """Register a packet at `now`, in seconds of a monotonic clock."""
        if self._packets:
            self._longest_s = max(now - self._last, _DECAY * self._longest_s)
        self._packets, self._last = self._packets + 1, now
        if self._packets > FEW_PACKETS:
            self.timeout_s = max(self._least_s, min(SLACK * self._longest_s, MAX_TIMEOUT_S))

    def timed_out(self) -> None:
        """Register that a connection ended because nothing came in time."""
        if self._packets <= FEW_PACKETS:
            longest_s = max(self._least_s, MAX_TIMEOUT_S)
            self.timeout_s = min(2 * self.timeout_s, longest_s)
