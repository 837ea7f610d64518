"""Signals that request an orderly end of a process."""

import signal
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP: the terminal was closed."""


def call_on_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop`, in the main thread, at each stop signal.

    An ignored SIGHUP stays ignored: `nohup` asks for that.
    """
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: stop())
