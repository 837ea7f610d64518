"""Orderly shutdown on signals."""

import threading

from codecsight.core.stop_signals import call_on_stop_signals


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM, SIGINT and SIGHUP set, so that loops end and cleanup code runs."""
    stop = threading.Event()
    # In a thread: a handler runs in the main thread, which may hold the event's lock.
    call_on_stop_signals(lambda: threading.Thread(target=stop.set, daemon=True).start())
    return stop
