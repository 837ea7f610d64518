"""Holes in a sequence of slots: seconds of the stream that nobody saw."""

from collections.abc import Sequence

HOLE_S = 4.0
"""A shorter distance of two frames is no hole: cameras and networks pause for a moment."""

USUAL_STEPS = 4
SLOWEST_S = 60.0
"""Cameras with a longer interval are not told from holes."""


class HoleFinder:
    """Finds slots that do not continue the one before. `least_s`: a shorter distance is no hole.

    A camera with a frame every ten seconds has no holes: a distance counts only if it is above
    USUAL_STEPS usual ones. The first distance of a slow camera is taken for a hole.
    """

    def __init__(self, least_s: float = HOLE_S) -> None:
        self._least_s = least_s
        self._usual_s = 0.0
        self._end: float | None = None

    def add(self, times: Sequence[float]) -> bool:
        """Whether there is a hole between the slots so far and one with these frame `times`."""
        before, self._end = self._end, times[-1]
        if before is None:
            return False
        distance_s = times[0] - before
        if distance_s > max(self._least_s, USUAL_STEPS * self._usual_s):
            self._usual_s = min(distance_s, SLOWEST_S)  # perhaps the camera has become slow
            return True
        self._usual_s += (max(0.0, distance_s) - self._usual_s) / 4
        return False
