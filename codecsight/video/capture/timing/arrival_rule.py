"""Where the pictures of a live stream belong: by their timestamps while these agree with the time
of arrival, otherwise by the time of arrival.

`lead` is how far a packet's place on the stream's clock is ahead of its arrival. `reference` is the
lead of a packet that was not delayed: the others are behind it by what the network added. A packet
can't be ahead of it, except at the start, when a server sends what it has kept.
"""

from collections import deque
from dataclasses import dataclass, field

from codecsight.video.capture.timing.stamps import Line, Track, Verdict, anomaly_of, falls_back

MAX_AHEAD_S = 1.0
"""A believed timestamp is not further ahead of the reference than this."""

JITTER_S = 0.25
MAX_BACKLOG_S = 60.0
"""What a server may send in advance when a connection starts."""

BACKLOG_SPEED = 3
BACKLOG_WITHIN_S = 5.0
"""A backlog comes at this many times the speed of the stream or faster, and soon."""

AT_ONCE_S = 0.05
MAX_STEP_S = 10.0
LATE_S = 2.0
DRIFT_S = 30.0
SLEW = 20
"""A clock that runs fast or slow is followed by shortening or lengthening steps by 1 / SLEW."""

TIMED_BY_ARRIVAL = "packets timed by arrival"
"""Anomaly: after MAX_FAULTS within FAULTS_WITHIN_S the timestamps are not used."""

MAX_FAULTS = 3
FAULTS_WITHIN_S = 10.0
PROBATION_S = 10.0


@dataclass(slots=True)
class ArrivalRule:
    """Judges the packets of one connection in order. Arrivals are in seconds of a steady clock;
    `origin` is the arrival that corresponds to time 0 of the stream.
    """

    origin: float
    first_arrival: float
    first_lead: float
    arrival: float = field(init=False)
    reference: float = field(init=False)
    lead: float = field(init=False)
    believes: bool = True
    _pause: float = 0.0
    _interval: float = 0.0  # recent mean of arrivals
    _on_time: float = field(init=False)
    _near: float = field(init=False)
    _faults: "deque[float]" = field(default_factory=lambda: deque(maxlen=MAX_FAULTS))
    _jumped: tuple[int, int] | None = None
    _probation: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        """Take the first packet as not delayed."""
        self.arrival = self._on_time = self._near = self.first_arrival
        self.lead, self.reference = self.first_lead, min(self.first_lead, MAX_BACKLOG_S)

    @property
    def late_s(self) -> float:
        """How much later than an undelayed one the newest packet arrived."""
        return max(0.0, self.reference - self.lead)

    def judge(self, track: Track, line: Line, stamp: int, arrival: float) -> Verdict:
        """Where the packet that has just arrived belongs."""
        assert line.sent is not None and line.placed is not None  # noqa: S101, PT018
        elapsed, self.arrival = arrival - self.arrival, arrival
        self._interval += 0.3 * (elapsed - self._interval)
        self._pause = max(elapsed, self._pause * (1 - min(1.0, elapsed / 60)))
        verdict = self._judge(track, line, stamp, elapsed)
        self._note((stamp + verdict.shift) * track.tick)
        if self.believes and self._too_late():
            self._distrust(stamp)
        return verdict

    def _judge(self, track: Track, line: Line, stamp: int, elapsed: float) -> Verdict:
        assert line.sent is not None and line.placed is not None  # noqa: S101, PT018
        step = stamp - line.sent
        fallen = falls_back(step, track, ordered=track.ordered or line is track.dts)
        if not self.believes:
            return self._on_probation(track, line, stamp, elapsed, fallen=fallen)
        jumped, self._jumped = self._jumped, None
        if jumped is not None:
            return self._after_jump(track, line, stamp, elapsed, jumped)
        if not fallen and self._credible(track, step, stamp + track.offset, elapsed):
            return Verdict.believed(track.offset + self._slew(track, stamp, step))
        self._fault(stamp)
        verdict = self._by_arrival(track, line, stamp, elapsed, anomaly_of(step))
        if self.believes:
            self._jumped = stamp, stamp + verdict.shift
        return verdict

    def _after_jump(
        self, track: Track, line: Line, stamp: int, elapsed: float, jumped: tuple[int, int]
    ) -> Verdict:
        """The stamps go on either where they were before the jump, or where they jumped to."""
        sent, placed = jumped
        assert line.sent is not None and line.placed is not None  # noqa: S101, PT018
        old = stamp + track.offset
        if old > line.placed and self._credible(track, stamp - line.sent, old, elapsed):
            self._faults.pop()  # it was a single picture, and its place is known
            return Verdict.believed(track.offset)
        new, step = placed - sent, stamp - sent
        if step > 0 and self._credible(track, step, stamp + new, elapsed):
            return Verdict.believed(new)
        self._fault(stamp)
        verdict = self._by_arrival(track, line, stamp, elapsed, anomaly_of(step))
        if self.believes:
            self._jumped = stamp, stamp + verdict.shift
        return verdict

    def _credible(self, track: Track, step: int, place: int, elapsed: float) -> bool:
        """Whether a packet can have arrived at this time, `step` ticks after the last."""
        lead = self._lead(place * track.tick)
        if lead <= self.reference + JITTER_S:
            return True
        usual, step_s = track.usual, step * track.tick
        known = usual is not None and len(track.steps) >= MAX_FAULTS
        limit = max(MAX_AHEAD_S, 10 * usual * track.tick) if known and usual else MAX_STEP_S
        if self._is_backlog(lead, step_s) and step_s <= limit:
            self.reference = lead
            return True
        sudden = step_s > elapsed + JITTER_S and not (known and usual and step <= 4 * usual)
        return not sudden and lead <= self.reference + MAX_AHEAD_S

    def _is_backlog(self, lead: float, step_s: float) -> bool:
        gained, elapsed = lead - self.first_lead, self.arrival - self.first_arrival
        fast = gained >= (BACKLOG_SPEED - 1) * elapsed and elapsed <= BACKLOG_WITHIN_S
        return fast and self._interval * BACKLOG_SPEED <= step_s and lead <= MAX_BACKLOG_S

    def _slew(self, track: Track, stamp: int, step: int) -> int:
        """Ticks by which the offset follows a clock that runs fast or slow."""
        excess = self._lead((stamp + track.offset) * track.tick) - self.reference
        most = max(0, step) // SLEW
        if excess > JITTER_S:
            return -min(most, round((excess - JITTER_S) / track.tick))
        if self.arrival - self._near > DRIFT_S + 2 * self._pause:
            return min(most, round(-excess / track.tick))
        return 0

    def _by_arrival(
        self, track: Track, line: Line, stamp: int, elapsed: float, anomaly: str
    ) -> Verdict:
        """A usual step for a single fault near its arrival; otherwise, approach the place that the
        arrival gives, at half to twice the speed of the clock.
        """
        assert line.placed is not None  # noqa: S101
        target = round((self.arrival - self.origin + self.reference) / track.tick) - line.placed
        passed, usual = elapsed / track.tick, track.usual
        if self.believes and usual and abs(target - usual) * track.tick < MAX_AHEAD_S:
            step = usual
        elif self.arrival - self.first_arrival < AT_ONCE_S and self.lead < MAX_BACKLOG_S:
            step = track.step  # what came while the connection was opened
            self.reference = max(self.reference, self._lead((line.placed + step) * track.tick))
        else:
            step = max(track.shortest, round(passed / 2), min(target, round(2 * passed)))
        shift = line.placed + step - stamp
        if self.believes:
            return Verdict(shift, track.offset, sent=False, anomaly=anomaly)
        return Verdict(shift, shift, anomaly=anomaly)

    def _on_probation(
        self, track: Track, line: Line, stamp: int, elapsed: float, *, fallen: bool
    ) -> Verdict:
        """Stamps that move at the speed of arrivals for PROBATION_S are believed again."""
        start, sent = self._probation or (self.arrival, stamp)
        passed, moved = self.arrival - start, (stamp - sent) * track.tick
        if fallen:
            self._distrust(stamp)
        elif passed >= PROBATION_S:
            self._distrust(stamp)
            if abs(moved - passed) <= passed / SLEW + JITTER_S:
                self.believes, self._on_time, self._near = True, self.arrival, self.arrival
                self._faults.clear()
        return self._by_arrival(track, line, stamp, elapsed, TIMED_BY_ARRIVAL)

    def _fault(self, stamp: int) -> None:
        self._faults.append(self.arrival)
        many = len(self._faults) == MAX_FAULTS
        if many and self._faults[-1] - self._faults[0] <= FAULTS_WITHIN_S:
            self._distrust(stamp)

    def _distrust(self, stamp: int) -> None:
        self.believes, self._jumped = False, None
        self._probation = self.arrival, stamp

    def _note(self, place_s: float) -> None:
        self.lead = self._lead(place_s)
        if self.lead >= self.reference - JITTER_S:
            self._near = self.arrival
        if self.lead >= self.reference - MAX_AHEAD_S - 1.5 * self._pause:
            self._on_time = self.arrival

    def _too_late(self) -> bool:
        return self.arrival - self._on_time > LATE_S + 2 * self._pause

    def _lead(self, place_s: float) -> float:
        return place_s - (self.arrival - self.origin)
