"""Ending on a signal, in order."""

import signal
import threading


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, so that loops end and clean-up runs."""
    stop = threading.Event()

    def end(*_: object) -> None:
        # In a thread: the main one may hold the event's lock just when the handler interrupts it.
        threading.Thread(target=stop.set, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop
