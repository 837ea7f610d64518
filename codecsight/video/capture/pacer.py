"""Waiting that a signal handler may end, and playing a recording in real time."""

import queue
import time


class StopFlag:
    """A flag one thread sleeps on and any other, or a signal handler, may set.

    Unlike threading.Event, whose lock a handler could find held by the very thread it interrupts.
    """

    def __init__(self) -> None:
        self._set = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        return self._set

    def set(self) -> None:
        """Stop, for good."""
        self._set = True
        self._wake.put(None)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until stopped."""
        if not self._set and seconds > 0:
            try:
                self._wake.get(timeout=seconds)
            except queue.Empty:
                return


class Pacer:
    """Gives the capture time of a recorded packet, waiting until then if `paced`."""

    def __init__(self, stop: StopFlag, paced: bool) -> None:
        self._stop = stop
        self._paced = paced
        self._wall = time.time()
        self._start = time.monotonic()

    def capture_time(self, due: float, shown: float) -> float:
        """The wall clock, in seconds, of a packet that is `due` (in decoding order) and `shown`
        at these seconds of the stream.
        """
        if not self._paced:
            return self._wall + shown
        self._stop.sleep(self._start + due - time.monotonic())
        return time.time()
