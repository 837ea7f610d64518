"""Selection of the decoded frames that the model gets, at a fixed or an activity-driven rate."""

from dataclasses import dataclass

_MAX_SAVED_S = 30.0  # seconds of sampling at the nominal rate that quiet periods can save up
_SMOOTHING = 0.98  # of the moving average of activity, per slot


@dataclass(frozen=True, slots=True)
class SamplingRange:
    """Samples per second between which the rate follows activity."""

    min_fps: float
    max_fps: float


class FrameSampler:
    """Selects `rate` frames per second of stream time, whatever the camera's frame rate is.

    Only the frames' own times are used, never a declared frame rate. Of the frames around a due
    time the nearest is selected, judged by the interval between the last two frames. After a gap,
    or when time runs backwards, sampling restarts at the current frame: missed samples are not
    caught up.

    With a `sampling_range`, fewer frames are selected while there is less activity than usual, and
    more while there is more, as far as saved samples last: never more than `rate` on average.
    """

    def __init__(self, rate: float, sampling_range: SamplingRange | None = None) -> None:
        self._rate = rate
        self._range = sampling_range
        self._period = 1.0 / rate
        self._due: float | None = None
        self._last_time = 0.0
        self._saved_samples = 0.0
        self._usual_activity: float | None = None

    def should_sample(self, time: float) -> bool:
        """Whether to sample the frame at `time` (seconds of the stream). Call once per frame."""
        interval, self._last_time = time - self._last_time, time
        if self._due is None or interval < 0 or time >= self._due + self._period:
            self._due = time + self._period
            return True
        # Wait if the next frame, one interval later, will be nearer to the due time.
        if time + min(interval, self._period) / 2 <= self._due:
            return False
        self._saved_samples = min(
            self._saved_samples + self._period * self._rate - 1, _MAX_SAVED_S * self._rate
        )
        if self._saved_samples < 0:
            self._period = max(self._period, 1.0 / self._rate)
        self._due += self._period
        return True

    def report_activity(self, share: float) -> None:
        """Set the rate of the next slot from the share of cells that changed in the last one."""
        if self._range is None:
            return
        usual = share if self._usual_activity is None else self._usual_activity
        self._usual_activity = _SMOOTHING * usual + (1 - _SMOOTHING) * share
        wanted = self._rate * share / self._usual_activity if self._usual_activity else self._rate
        limit = self._range.max_fps if self._saved_samples > 0 else self._rate
        self._period = 1.0 / min(max(wanted, self._range.min_fps), limit)


class FramePace:
    """Tells a slow camera, whose frames are more than `max_gap` seconds apart, from a gap."""

    def __init__(self, max_gap: float) -> None:
        self.is_slow = False
        self._max_gap = max_gap
        self._last_time: float | None = None
        self._after_gap = False

    def observe(self, time: float) -> None:
        """Register the frame at `time`, in seconds of the stream. Two gaps in a row are a pace."""
        gap = self._last_time is not None and time - self._last_time > self._max_gap
        self.is_slow = gap and self._after_gap
        self._last_time, self._after_gap = time, gap
