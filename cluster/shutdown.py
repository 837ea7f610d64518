"""Orderly shutdown on signals."""

import signal
import threading

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP: the terminal was closed."""


def stop_on_signals() -> threading.Event:
    """An event that the stop signals set, so that loops end and cleanup code runs.

    An ignored SIGHUP stays ignored: `nohup` asks for that.
    """
    stop = threading.Event()

    def handle(*_: object) -> None:
        # In a thread: a handler runs in the main thread, which may hold the event's lock.
        threading.Thread(target=stop.set, daemon=True).start()

    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    return stop
