"""Which decoded frames the model gets to see."""


class FrameSampler:
    """Picks `rate` frames per second of stream time, whatever rate the camera really has.

    Only the frames' own times are used, never a declared frame rate. Of the frames around a due
    time the nearest is taken, judged by the distance between the last two frames. After a gap, or
    when time runs backwards, sampling starts anew at the frame at hand: missed samples are not
    caught up.
    """

    def __init__(self, rate: float) -> None:
        self._period = 1.0 / rate
        self._due: float | None = None
        self._last = 0.0

    def wants(self, time: float) -> bool:
        """Whether the frame at `time` (seconds of the stream) is sampled. Call once per frame."""
        step, self._last = time - self._last, time
        if self._due is None or step < 0 or time >= self._due + self._period:
            self._due = time + self._period
            return True
        if time + min(step, self._period) / 2 <= self._due:
            return False
        self._due += self._period
        return True
