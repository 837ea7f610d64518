"""Limits for each peer: calls at the same time, and refusals in the log."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from actors.rpc.transport import Context
from codecsight.core.errors import CodecSightError

MAX_PEERS = 1024
"""Peers remembered; the one unseen longest is forgotten first."""
LOGGED = 5
"""Refusals of one peer that are logged within LOG_WINDOW_S; the next line counts the others."""
LOG_WINDOW_S = 60.0


class TooManyCallsError(CodecSightError):
    """A caller has as many calls at the same time as it may."""


class CallLimit:
    """At most `limit` calls of each caller at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Count a call while the block runs. Raises TooManyCallsError."""
        if self._running[caller] >= self._limit:
            raise TooManyCallsError(
                f"{self._limit} questions of this caller wait already (limits.questions); "
                "ask again when one is answered"
            )
        self._running[caller] += 1
        try:
            yield
        finally:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]


@dataclass(slots=True)
class _Seen:
    since: float
    count: int = 0


class RefusalLog:
    """Decides which refusals are logged, so that a peer that repeats a refused call can't fill the
    log. It reads no clock: the caller passes monotonic seconds.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def admit(self, peer: str, now: float) -> int | None:
        """How many refusals of the peer were left out before this one; None: leave it out, too."""
        seen = self._seen.pop(peer, None) or _Seen(now)
        left_out = 0
        if now - seen.since >= LOG_WINDOW_S:
            left_out, seen = max(0, seen.count - LOGGED), _Seen(now)
        seen.count += 1
        self._seen[peer] = seen
        while len(self._seen) > MAX_PEERS:
            self._seen.popitem(last=False)
        return left_out if seen.count <= LOGGED else None


def host_of(context: Context) -> str:
    """The peer's address without its port, which changes, such as `ipv4:10.0.0.7`."""
    return str(context.peer()).rpartition(":")[0]
