"""Maps the timestamps of successive connections and file loops onto one monotonic stream clock.

Example, in milliseconds: a camera counts from 5000 and, 7 s after its last packet, a new connection
counts from 123456. The stream's packets get 0, 100, ... and then 7100, 7200, ...
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

from codecsight.video.capture.timing.arrival_rule import ArrivalRule
from codecsight.video.capture.timing.recording_rule import RecordingRule
from codecsight.video.capture.timing.stamps import MAX_REORDER_S, Track, Verdict

DEFAULT_RATE = 25.0
"""Frames per second of a recording that declares none, where its timestamps fail."""


class StreamClock:
    """Shifts timestamps so that a stream starts at zero and never runs backwards.

    A new connection continues where the last one ended: immediately for a recording that loops,
    after the elapsed time for a `live` source. Timestamps that jump, stand still or restart are
    replaced and counted as anomalies: for a live source by the time of arrival (see ArrivalRule),
    for a recording by usual steps (see RecordingRule). `now` is a steady clock in seconds.
    """

    def __init__(
        self,
        anomalies: Counter[str],
        live: bool,
        now: Callable[[], float] = time.monotonic,
        leader: "StreamClock | None" = None,
    ) -> None:
        self._anomalies = anomalies
        self._leader = leader
        self._live = live
        self._now = now
        self._origin: float | None = None
        self._end = 0.0
        self._track = Track(1 / 90_000, ordered=True)
        self._base = Fraction(1, 90_000)
        self._floor: int | None = None
        self._rule: ArrivalRule | None = None
        self._recording = RecordingRule(spliced=False)
        self._by_arrival = live
        self._begun = self._untimed_start = self._reordered = False

    def follower(self) -> "StreamClock":
        """A clock for another track of the connection: at first its timestamps are shifted as those
        of this one, later they are judged by themselves.
        """
        return StreamClock(Counter(), self._live, self._now, self)

    @property
    def late_s(self) -> float:
        """How much later than an undelayed one the newest packet of a live source arrived."""
        return self._rule.late_s if self._rule else 0.0

    def start_connection(
        self,
        time_base: Fraction,
        reordered: bool,
        rate: float = 0.0,
        *,
        recording: bool = False,
        spliced: bool = False,
    ) -> None:
        """Start a connection or loop whose timestamps are in ticks of `time_base`.

        `reordered`: the stream has B-frames. `rate`: its declared frame rate, 0 if none is.
        `recording`: it comes as fast as it can be read, also from a live source. `spliced`: its
        format is made to be joined.
        """
        ratio = self._base / time_base
        floors = [value for value in (self._floor, self._track.dts.placed) if value is not None]
        self._floor = int(max(floors) * ratio) if floors else None
        self._base, self._reordered = time_base, reordered
        self._track = Track(float(time_base), not reordered, 1 / (rate or DEFAULT_RATE))
        self._recording, self._rule = RecordingRule(spliced), None
        self._by_arrival = self._live and not recording
        self._begun = self._untimed_start = False

    def rebase(
        self,
        pts: int | None,
        dts: int | None,
        duration: int,
        following: Sequence[tuple[int | None, int | None]] = (),
    ) -> tuple[int | None, int | None]:
        """A packet's (pts, dts) on the stream's clock, in ticks of the connection's time base.

        `following` are the (pts, dts) of the packets after it, where they are known.
        """
        arrival = self._now()
        if self._leader is not None:
            if not self._leader._begun:
                return None, None
            self._origin = self._leader._origin
        self._origin = arrival if self._origin is None else self._origin
        pts = self._track.credible_pts(pts, dts)
        if pts is None and dts is None:
            self._untimed_start = self._reordered
            return None, None
        verdict = self._judge(pts, dts, arrival, following) if self._begun else None
        if verdict is None:
            verdict = self._begin(pts, dts, arrival)
        elif verdict.anomaly:
            self._anomalies[verdict.anomaly] += 1
        self._advance(pts, dts, duration, verdict)
        shift = verdict.shift
        return None if pts is None else pts + shift, None if dts is None else dts + shift

    def _begin(self, pts: int | None, dts: int | None, arrival: float) -> Verdict:
        """Place the first packet of a connection.

        RTSP may send the key frame without a timestamp. The first picture with one can then be
        followed by B-frames that are displayed before it, so it is placed MAX_REORDER_S later:
        otherwise their timestamps would be negative.
        """
        self._begun = True
        room = MAX_REORDER_S if self._untimed_start and dts is None else 0.0
        passed = arrival - self._origin if self._live and self._origin is not None else 0.0
        start = max(self._end, passed) + room
        stamp = pts if pts is not None else dts or 0
        offset = round(start / self._track.tick) - stamp
        if self._leader is not None:
            offset = round(self._leader._track.offset * self._leader._track.tick / self._track.tick)
        if dts is not None and self._floor is not None:
            offset = max(offset, self._floor + 1 - dts)
        if self._by_arrival and self._origin is not None:
            first = dts if dts is not None else stamp
            lead = (first + offset) * self._track.tick - passed
            self._rule = ArrivalRule(self._origin, arrival, lead)
        return Verdict.believed(offset)

    def _judge(
        self,
        pts: int | None,
        dts: int | None,
        arrival: float,
        following: Sequence[tuple[int | None, int | None]],
    ) -> Verdict | None:
        """Judge by the kind of timestamp that the packets before had too; None if there is none."""
        track, line = self._track, self._track.line(dts)
        stamp = dts if line is track.dts else pts if pts is not None else dts
        if stamp is None or line.sent is None:
            return None
        if self._rule is not None:
            return self._rule.judge(track, line, stamp, arrival)
        kind = 1 if line is track.dts else 0
        after = [pair[kind] for pair in following]
        return self._recording.judge(track, line, stamp, [at for at in after if at is not None])

    def _advance(self, pts: int | None, dts: int | None, duration: int, verdict: Verdict) -> None:
        track = self._track
        line = track.line(dts)
        stamp = dts if line is track.dts else pts
        believed = verdict.sent and not verdict.anomaly
        if believed and stamp is not None and line.sent is not None and stamp > line.sent:
            track.steps.append(stamp - line.sent)
        track.offset = verdict.offset
        for each, value in ((track.dts, dts), (track.pts, pts)):
            if value is None:
                continue
            placed = value + verdict.shift
            newest = each is track.dts or each.placed is None or placed > each.placed
            each.placed = placed if newest else each.placed
            if verdict.sent and (newest or verdict.anomaly):
                each.sent = value
        shown = (pts if pts is not None else dts or 0) + verdict.shift
        longest = 2 * max(track.step, round(0.5 / track.tick))
        self._end = max(self._end, (shown + min(duration or track.step, longest)) * track.tick)
