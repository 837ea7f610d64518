"""A sleep that a signal handler can end, and real-time playback of recordings."""

import queue
import time


class StopFlag:
    """A flag that one thread sleeps on and that any thread or signal handler may set.

    It replaces threading.Event, which holds a lock while it is set: a signal handler that runs in
    the thread holding that lock would deadlock.
    """

    def __init__(self) -> None:
        self._set = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        return self._set

    def set(self) -> None:
        """Set the flag for good and end the current sleep."""
        self._set = True
        self._wake.put(None)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the flag is set."""
        if not self._set and seconds > 0:
            try:
                self._wake.get(timeout=seconds)
            except queue.Empty:
                return


class Pacer:
    """Capture times for the packets of a recording; if `paced`, waits until each is due."""

    def __init__(self, stop: StopFlag, paced: bool) -> None:
        self._stop = stop
        self._paced = paced
        self._start_wall = time.time()
        self._start = time.monotonic()

    def capture_time(self, decode_s: float, display_s: float) -> float:
        """Wall clock, in seconds since the epoch, of a packet with these times of the stream.

        `decode_s` decides how long to wait, `display_s` gives the time if nothing is paced. A
        consumer that is late does not change the time.
        """
        if not self._paced:
            return self._start_wall + display_s
        due = self._start + decode_s
        self._stop.sleep(due - time.monotonic())
        return time.time() - max(0.0, time.monotonic() - due)
