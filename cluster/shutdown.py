"""Orderly shutdown on signals."""

import signal
import threading


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, so that loops end and cleanup code runs."""
    stop = threading.Event()

    def handle(*_: object) -> None:
        # In a thread: a handler runs in the main thread, which may hold the event's lock.
        threading.Thread(target=stop.set, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
