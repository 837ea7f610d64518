"""One clock for a stream whose connections and loops each count time from anywhere."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

JUMP_S = 10.0
REORDER_S = 1


@dataclass(slots=True)
class _Latest:
    """A connection's newest timestamps in ticks, and the `floor` its dts may not reach."""

    dts: int | None = None
    shown: int | None = None
    step: int = 1
    floor: int | None = None

    def connected(self, ratio: Fraction) -> "_Latest":
        """What the next connection starts from, its ticks being 1 / `ratio` as long."""
        floor = self.floor if self.dts is None else self.dts
        floor = None if floor is None else int(floor * ratio)
        return _Latest(step=max(1, int(self.step * ratio)), floor=floor)


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
        self._seen: float | None = None
        self._base = Fraction(1, 90_000)
        self._offset: int | None = None
        self._latest = _Latest()
        self._end = Fraction(0)
        self._begin = Fraction(0)
        self._room = self._reordered = False

    def start_connection(self, time_base: Fraction, reordered: bool) -> None:
        """A connection (or loop) begins; its timestamps come in ticks of `time_base`, and
        `reordered` where the stream has B-frames.
        """
        self._latest = self._latest.connected(self._base / time_base)
        self._base, self._offset = time_base, None
        self._room, self._reordered = False, reordered
        away = 0.0 if self._seen is None or not self._live else self._now() - self._seen
        self._begin = self._end + Fraction(away)

    def rebase(
        self, pts: int | None, dts: int | None, duration: int
    ) -> tuple[int | None, int | None]:
        """A packet's (pts, dts) on the stream's clock, in ticks of the connection's time base."""
        before, self._seen = self._seen, self._now()
        shown = pts if pts is not None else dts
        if shown is None:
            self._room = self._reordered
            return None, None
        if self._offset is None:
            self._offset = self._first(shown, dts)
        elif (step := self._jump(shown, dts, self._seen - (before or self._seen))) is not None:
            self._anomalies["clock jumps"] += 1
            self._offset += self._latest.step - step
        placed = tuple(None if stamp is None else stamp + self._offset for stamp in (pts, dts))
        self._follow(shown + self._offset, placed[1], duration)
        return placed[0], placed[1]

    def _first(self, shown: int, dts: int | None) -> int:
        """The offset of a connection. Where the key frame came without a time, as over RTSP, the
        first picture with one may be followed by B-frames shown before it: they need room.
        """
        room = REORDER_S if self._room and dts is None else 0
        offset = round((self._begin + room) / self._base) - shown
        if dts is not None and self._latest.floor is not None:
            return max(offset, self._latest.floor + 1 - dts)
        return offset

    def _jump(self, shown: int, dts: int | None, elapsed: float) -> int | None:
        """The step from the last timestamp, in ticks, if no camera makes such a step by itself."""
        offset, latest = self._offset or 0, self._latest
        ordered = dts is not None and latest.dts is not None
        step = (dts or 0) - (latest.dts or 0) if ordered else shown - (latest.shown or 0)
        step += offset
        seconds = float(step * self._base)
        backwards = seconds <= 0 if ordered else seconds < -REORDER_S
        leap = self._live and seconds > max(JUMP_S, 2 * elapsed)
        return step if backwards or leap else None

    def _follow(self, shown: int, dts: int | None, duration: int) -> None:
        latest = self._latest
        if dts is not None:
            latest.step = max(1, dts - latest.dts) if latest.dts is not None else latest.step
            latest.dts = dts
        latest.shown = max(shown, latest.shown or shown)
        self._end = max(self._end, (shown + (duration or latest.step)) * self._base)
