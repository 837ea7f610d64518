"""When a process that failed is started again: a pure function of its failures and their times.

Example, with the defaults: a process that fails at once is started again after 1, 2, 4, ... 60 s.
Once it has run for 60 s, its next failure counts as the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Failure:
    """One run that failed, in seconds of one monotonic clock. Equal times: it never started."""

    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Exponential back-off with an optional limit. All times are in seconds.

    The n-th failure in a row is followed by a delay of `first_delay_s * factor ** (n - 1)`, at most
    `max_delay_s`. A run of `healthy_s` or longer starts a new row. After `max_failures` failures
    within `window_s` the process is not started again (None: no limit).
    """

    first_delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    healthy_s: float = 60.0
    max_failures: int | None = None
    window_s: float = 600.0

    def delay_s(self, failures: Sequence[Failure]) -> float | None:
        """The delay from the last failure to the next start; None: give up.

        `failures` are in order and hold at least one; those before the last healthy run and the
        window do not matter.
        """
        if self.max_failures is not None and self._recent(failures) >= self.max_failures:
            return None
        exponent = min(self._in_a_row(failures) - 1, MAX_EXPONENT)
        return min(self.max_delay_s, self.first_delay_s * self.factor**exponent)

    def _recent(self, failures: Sequence[Failure]) -> int:
        begin = failures[-1].ended - self.window_s
        return sum(failure.ended >= begin for failure in failures)

    def _in_a_row(self, failures: Sequence[Failure]) -> int:
        row = 0
        for failure in reversed(failures):
            row += 1
            if failure.ended - failure.started >= self.healthy_s:
                break
        return row


NEVER_RESTART = RestartPolicy(max_failures=1)
