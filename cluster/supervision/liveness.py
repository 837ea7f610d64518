"""When a process counts as hung or frozen: a pure function of its silence and its CPU time.

A process gives signs of life: lines of output, replies to a ping. Two rules:

    frozen    neither a sign of life nor CPU time for `frozen_s`: stopped by a signal, or waiting
              for something that does not come. This rule may be quick: a process that is slow on
              a busy machine still gets some CPU time.
    hung      no sign of life for `silence_s`, whatever it computes.
"""

import contextlib
from dataclasses import dataclass

import psutil

MIN_SILENCE_S = 0.5
"""Silence from which on CPU time is read: asking the kernel about every process costs something."""


@dataclass(frozen=True, slots=True)
class LivenessRule:
    """Seconds after which a process counts as frozen or hung; None: that rule does not apply."""

    frozen_s: float | None = None
    silence_s: float | None = None

    def fault(self, silent_s: float, still_s: float) -> str:
        """Why a process counts as failed that gave no sign of life for `silent_s` seconds and used
        no CPU time for `still_s`; empty if it does not.
        """
        if self.frozen_s is not None and min(silent_s, still_s) >= self.frozen_s:
            return f"frozen: neither a sign of life nor CPU time for {self.frozen_s:g} s"
        if self.silence_s is not None and silent_s > self.silence_s:
            return f"no sign of life for {self.silence_s:g} s"
        return ""


class CpuObserver:
    """Observes for how long a process has used no CPU time. It reads no clock: the caller passes
    monotonic seconds. A call more than `max_poll_s` after the one before starts anew: the machine
    may have been suspended meanwhile.
    """

    def __init__(self, max_poll_s: float) -> None:
        self._max_poll_s = max_poll_s
        self._spent_s: float | None = None
        self._moved_at = self._observed_at = 0.0

    def still_s(self, spent_s: float | None, now: float) -> float:
        """Seconds since `spent_s`, the process's CPU time, last moved; None: unknown, or not of
        interest, counts as moving.
        """
        late = now - self._observed_at > self._max_poll_s
        if spent_s is None or spent_s != self._spent_s or late:
            self._moved_at = now
        self._spent_s, self._observed_at = spent_s, now
        return now - self._moved_at


def cpu_seconds(pid: int) -> float | None:
    """CPU time that a process has used, in user and kernel mode; None if it has ended."""
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return None
