"""Where the pictures of a recording belong whose timestamps jump, stand still or restart.

There is no arrival time to compare with, but the timestamps that follow are known.

Example, in milliseconds: 0, 40, 9080, 120 becomes 0, 40, 80, 120: the third stamp is wrong, because
the fourth comes back. 0, 40, 9080, 9120 stays: nothing was recorded for nine seconds. 0, 40, 0, 40
becomes 0, 40, 80, 120: a second recording was appended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from codecsight.video.capture.timing.stamps import (
    Line,
    Track,
    Verdict,
    anomaly_of,
    falls_back,
)

LOOKAHEAD = 8
"""Packets that are read ahead."""

MAX_SPLICE_S = 10.0
"""In formats that are made to be joined (MPEG-TS), a longer step is a join, as in FFmpeg."""

MAX_USUAL_STEPS = 4
MAX_DETOUR_S = 1.0


@dataclass(slots=True)
class RecordingRule:
    """Judges the packets of one connection in order. `spliced`: the format is made to be joined."""

    spliced: bool
    home: int | None = None
    """Offset before the stamps stood still or fell back: they may return to it."""

    def judge(self, track: Track, line: Line, stamp: int, following: Sequence[int]) -> Verdict:
        """`following` are the stamps of the next packets, of the same kind as `stamp`."""
        assert line.sent is not None and line.placed is not None  # noqa: S101, PT018
        ordered = track.ordered or line is track.dts
        step = stamp - line.sent
        fallen = falls_back(step, track, ordered=ordered)
        far = step > max(MAX_USUAL_STEPS * track.step, 2)
        if step > 0 and self.home is not None:
            home, self.home = self.home, None
            if self._is_near(track, stamp + home - line.placed):
                return Verdict.believed(home)
        if not (fallen or far):
            return Verdict.believed(track.offset)
        if detour := _detour(track, line.sent, stamp, following, ordered=ordered):
            return self._between(track, line.placed, stamp, detour, step)
        if fallen or (self.spliced and step * track.tick > MAX_SPLICE_S):
            self.home = track.offset if self.home is None and step == 0 else self.home
            shift = line.placed + track.step - stamp
            return Verdict(shift, shift, anomaly=anomaly_of(step))
        return Verdict.believed(track.offset)

    def _between(
        self, track: Track, placed: int, stamp: int, detour: tuple[int, int], step: int
    ) -> Verdict:
        """Place the packet evenly between the last and the one that continues from there."""
        after, number = detour
        gap = after + (track.offset if self.home is None else self.home) - placed
        shift = placed + max(1, gap // (number + 1)) - stamp
        return Verdict(shift, track.offset, sent=False, anomaly=anomaly_of(step))

    def _is_near(self, track: Track, step: int) -> bool:
        return 0 < step <= max(MAX_DETOUR_S / track.tick, MAX_USUAL_STEPS * track.step)


def _detour(
    track: Track, sent: int, stamp: int, following: Sequence[int], *, ordered: bool
) -> tuple[int, int] | None:
    """The stamp that continues from `sent`, and its distance in packets; None if none does.

    Stamps that continue from `stamp` in usual steps are no detour.
    """
    for number, (before, after) in enumerate(pairwise((stamp, *following)), 1):
        limit = (number + 1) * max(MAX_USUAL_STEPS * track.step, 2)
        returned = after < stamp if stamp > sent else after > sent
        if stamp < sent and after - before <= 1.5 * track.step:
            returned = False
        if not ordered and stamp > sent:  # pts of B-frames fall back a little anyway
            returned = (stamp - after) * track.tick > track.reorder_s
        if returned and 0 < after - sent <= max(limit, MAX_DETOUR_S / track.tick):
            return after, number
    return None
