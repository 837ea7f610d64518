"""Maps the timestamps of successive connections and file loops onto one monotonic stream clock.

Example, in milliseconds: a camera counts from 5000 and, after a pause of 7 s, a new connection
counts from 123456. The stream's packets get 0, 100, ... and then 7200, 7300, ...
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

MAX_LEAP_S = 10.0
MAX_REORDER_S = 1


@dataclass(slots=True)
class _Newest:
    """Newest timestamps of a connection on the stream's clock, in ticks of the connection.

    `step` is the last distance between two dts. `floor` is the last dts of the connection before;
    every dts of this connection must be greater.
    """

    dts: int | None = None
    pts: int | None = None
    step: int = 1
    floor: int | None = None

    def next_connection(self, ratio: Fraction) -> "_Newest":
        """Initial state of the next connection, whose ticks are 1 / `ratio` as long."""
        floor = self.floor if self.dts is None else self.dts
        floor = None if floor is None else int(floor * ratio)
        return _Newest(step=max(1, int(self.step * ratio)), floor=floor)


class StreamClock:
    """Shifts timestamps so that a stream starts at zero and never runs backwards.

    A new connection continues where the last one ended: immediately for a recording that loops,
    after the elapsed wall time for a `live` source. A camera that sets its clock while connected
    is continued from its last timestamp and counted as an anomaly. Forward jumps are detected for
    live sources only: there, a step above MAX_LEAP_S and above twice the wall time is a jump.
    """

    def __init__(
        self, anomalies: Counter[str], live: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._anomalies = anomalies
        self._live = live
        self._now = now
        self._last_arrival: float | None = None
        self._base = Fraction(1, 90_000)
        self._offset: int | None = None
        self._newest = _Newest()
        self._end = Fraction(0)
        self._start = Fraction(0)
        self._untimed_start = self._reordered = False

    def start_connection(self, time_base: Fraction, reordered: bool) -> None:
        """Start a connection or loop whose timestamps are in ticks of `time_base`.

        `reordered`: the stream has B-frames.
        """
        self._newest = self._newest.next_connection(self._base / time_base)
        self._base, self._offset = time_base, None
        self._untimed_start, self._reordered = False, reordered
        away = 0.0
        if self._live and self._last_arrival is not None:
            away = self._now() - self._last_arrival
        self._start = self._end + Fraction(away)

    def rebase(
        self, pts: int | None, dts: int | None, duration: int
    ) -> tuple[int | None, int | None]:
        """A packet's (pts, dts) on the stream's clock, in ticks of the connection's time base."""
        previous, self._last_arrival = self._last_arrival, self._now()
        stamp = pts if pts is not None else dts
        if stamp is None:
            self._untimed_start = self._reordered
            return None, None
        elapsed = self._last_arrival - (previous or self._last_arrival)
        if self._offset is None:
            self._offset = self._first_offset(stamp, dts)
        elif (step := self._jump(stamp, dts, elapsed)) is not None:
            self._anomalies["clock jumps"] += 1
            self._offset += self._newest.step - step
        rebased = tuple(None if value is None else value + self._offset for value in (pts, dts))
        self._advance(stamp + self._offset, rebased[1], duration)
        return rebased[0], rebased[1]

    def _first_offset(self, stamp: int, dts: int | None) -> int:
        """Offset of a connection, from its first timestamp.

        RTSP may send the key frame without a timestamp. The first picture with one can then be
        followed by B-frames that are displayed before it, so it is placed MAX_REORDER_S later:
        otherwise their timestamps would be negative.
        """
        room = MAX_REORDER_S if self._untimed_start and dts is None else 0
        offset = round((self._start + room) / self._base) - stamp
        if dts is not None and self._newest.floor is not None:
            return max(offset, self._newest.floor + 1 - dts)
        return offset

    def _jump(self, stamp: int, dts: int | None, elapsed: float) -> int | None:
        """Ticks since the last timestamp if that step is a clock jump, otherwise None."""
        offset, newest = self._offset or 0, self._newest
        ordered = dts is not None and newest.dts is not None
        step = (dts or 0) - (newest.dts or 0) if ordered else stamp - (newest.pts or 0)
        step += offset
        seconds = float(step * self._base)
        # pts fall back by a few frames wherever there are B-frames; dts must always rise.
        backwards = seconds <= 0 if ordered else seconds < -MAX_REORDER_S
        leap = self._live and seconds > max(MAX_LEAP_S, 2 * elapsed)
        return step if backwards or leap else None

    def _advance(self, pts: int, dts: int | None, duration: int) -> None:
        newest = self._newest
        if dts is not None:
            newest.step = max(1, dts - newest.dts) if newest.dts is not None else newest.step
            newest.dts = dts
        newest.pts = max(pts, newest.pts or pts)
        self._end = max(self._end, (pts + (duration or newest.step)) * self._base)
