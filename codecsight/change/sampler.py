"""Which decoded frames the model gets to see."""

from dataclasses import dataclass

_SAVED_S = 30.0  # seconds of sampling at the usual rate that a quiet time can save up
_MEMORY = 0.98  # of the usual activity that is carried over from slot to slot


@dataclass(frozen=True, slots=True)
class SamplingRange:
    """Samples per second between which the rate follows what happens."""

    floor: float
    ceiling: float


class FrameSampler:
    """Picks `rate` frames per second of stream time, whatever rate the camera really has.

    Only the frames' own times are used, never a declared frame rate. Of the frames around a due
    time the nearest is taken, judged by the distance between the last two frames. After a gap, or
    when time runs backwards, sampling starts anew at the frame at hand: missed samples are not
    caught up.

    With `follow`, fewer frames are taken while less happens than usual, and more while more does,
    as far as saved ones last: never more than `rate` on average.
    """

    def __init__(self, rate: float, follow: SamplingRange | None = None) -> None:
        self._rate = rate
        self._follow = follow
        self._period = 1.0 / rate
        self._due: float | None = None
        self._last = 0.0
        self._saved = 0.0
        self._usual: float | None = None

    def should_sample(self, time: float) -> bool:
        """Whether the frame at `time` (seconds of the stream) is sampled. Call once per frame."""
        step, self._last = time - self._last, time
        if self._due is None or step < 0 or time >= self._due + self._period:
            self._due = time + self._period
            return True
        if time + min(step, self._period) / 2 <= self._due:
            return False
        self._saved = min(self._saved + self._period * self._rate - 1, _SAVED_S * self._rate)
        if self._saved < 0:
            self._period = max(self._period, 1.0 / self._rate)
        self._due += self._period
        return True

    def report_activity(self, share: float) -> None:
        """In the slot just done this share of the cells changed; what follows will be alike."""
        if self._follow is None:
            return
        usual = share if self._usual is None else self._usual
        self._usual = _MEMORY * usual + (1 - _MEMORY) * share
        wanted = self._rate * share / self._usual if self._usual else self._rate
        ceiling = self._follow.ceiling if self._saved > 0 else self._rate
        self._period = 1.0 / min(max(wanted, self._follow.floor), ceiling)
