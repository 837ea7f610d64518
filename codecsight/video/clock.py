"""One clock for a stream whose connections and loops each count time from anywhere."""

import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

JUMP_S = 10.0
REORDER_S = 1.0


class StreamClock:
    """Moves timestamps so that they begin at zero and never run backwards.

    A new connection goes on where the last one ended: at once for a recording that loops, and
    after the real time that passed for a `live` source. A camera that sets its own clock while
    connected is carried on from its last timestamp, and counted. (Only a live source can be
    caught at leaping forward: there, by more than JUMP_S and twice the real time.)
    """

    def __init__(
        self, anomalies: Counter[str], live: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._anomalies = anomalies
        self._live = live
        self._now = now
        self._seen = now()
        self._base = Fraction(1, 90_000)
        self._offset: int | None = None
        self._begin = self._end = Fraction(0)
        self._last: int | None = None
        self._step = 1

    def connect(self, time_base: Fraction) -> None:
        """A connection (or loop) begins: its first timestamp, in `time_base`, goes on from here."""
        last = None if self._last is None else self._last * self._base / time_base
        self._last = None if last is None else int(last)
        self._step = max(1, int(self._step * self._base / time_base))
        self._base = time_base
        self._offset = None
        started = self._last is not None
        away = Fraction(self._now() - self._seen) if self._live and started else Fraction(0)
        self._begin = self._end + away

    def place(
        self, pts: int | None, dts: int | None, duration: int
    ) -> tuple[int | None, int | None]:
        """A packet's (pts, dts) on the stream's clock, in ticks of the connection's time base."""
        elapsed, self._seen = self._now() - self._seen, self._now()
        shown = pts if pts is not None else dts
        if shown is None:
            return None, None
        order = dts if dts is not None else shown
        if self._offset is None:
            self._offset = round(self._begin / self._base) - shown
            if self._last is not None:
                self._offset = max(self._offset, self._last + 1 - order)
        elif self._last is not None and self._jumped(order + self._offset, dts is None, elapsed):
            self._anomalies["clock jumps"] += 1
            self._offset = self._last + self._step - order
        self._follow(shown + self._offset, order + self._offset, duration)
        return (
            None if pts is None else pts + self._offset,
            None if dts is None else dts + self._offset,
        )

    def _jumped(self, order: int, unordered: bool, elapsed: float) -> bool:
        """Whether the camera set its clock; packets without a dts come in decoding order, in
        which the times shown run backwards a little by themselves.
        """
        step = float((order - (self._last or 0)) * self._base)
        backwards = step < -REORDER_S if unordered else step <= 0
        return backwards or (self._live and step > max(JUMP_S, 2 * elapsed))

    def _follow(self, shown: int, order: int, duration: int) -> None:
        if self._last is not None and order - self._last > 0:
            self._step = order - self._last
        self._last = order if self._last is None else max(order, self._last)
        self._end = max(self._end, (shown + (duration or self._step)) * self._base)
