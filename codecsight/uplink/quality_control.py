"""JPEG quality of a stream's cells, by how far behind its uplink is: a pure controller.

A thin link carries fewer slots, or smaller ones. Smaller ones keep answers current: at quality 30 a
slot has about a quarter of the bytes that it has at 90, and every camera still sends its anchors.

    behind by BEHIND_S or more      one level down, at most once in DOWN_EVERY_S
    behind by CURRENT_S or less     one level up, at most once in UP_EVERY_S
"""

LEVELS = (90, 75, 60, 45, 30)
BEHIND_S = 2.5
CURRENT_S = 1.5
DOWN_EVERY_S = 3.0
UP_EVERY_S = 2.0
IDLE_S = 0.5
FORGET_S = 10.0
"""A stream that was never more than IDLE_S behind for this long starts anew."""
MAX_PATIENCE_S = 60.0
"""Longest time before a level that was too much is tried again: it doubles with each attempt, until
the stream is no longer behind at all, as after a recovery.
"""


class QualityControl:
    """Chooses the quality of the next slot. Times are monotonic seconds of the caller."""

    def __init__(self) -> None:
        self._level = 0
        self._changed_at = self._raised_at = float("-inf")
        self._patience_s = UP_EVERY_S
        self._busy_at = float("-inf")  # when it was last more than IDLE_S behind

    @property
    def quality(self) -> int:
        """JPEG quality, from LEVELS."""
        return LEVELS[self._level]

    def observe(self, lag_s: float, now: float) -> None:
        """Adjust to how far behind the stream is."""
        since = now - self._changed_at
        if lag_s > IDLE_S:
            self._busy_at = now
        idle_s = now - self._busy_at
        if idle_s >= FORGET_S:
            self._patience_s = UP_EVERY_S
        patience_s = UP_EVERY_S if idle_s >= UP_EVERY_S else self._patience_s
        if lag_s >= BEHIND_S and since >= DOWN_EVERY_S and self._level < len(LEVELS) - 1:
            if now - self._raised_at < 2 * DOWN_EVERY_S:  # the level above was too much
                self._patience_s = min(2 * self._patience_s, MAX_PATIENCE_S)
            self._set(self._level + 1, now)
        elif lag_s <= CURRENT_S and since >= patience_s and self._level:
            self._raised_at = now
            self._set(self._level - 1, now)

    def _set(self, level: int, now: float) -> None:
        self._level, self._changed_at = level, now
