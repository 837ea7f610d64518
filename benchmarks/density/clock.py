"""What is counted as time."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since some moment."""


def clock_of(device: str) -> Clock:
    """On the CPU the time that this process computes: what an idle machine's wall would show on one
    thread, and indifferent to neighbours. Where a device works beside the CPU, the wall's.
    """
    return time.process_time if device == "cpu" else time.perf_counter
