"""Whether a packet follows the one before it in time, so that one index row can describe both."""

from codecsight.core.packet import Packet

CLOCKS_PART_S = 2.0
"""Difference of the wall clock and the stream's clock from which the wall clock was set."""

PAUSE_S = 5.0
"""A longer pause is a hole in the recording, unless the stream is as slow as that."""

USUAL_STEPS = 4
SLOWEST_S = 60.0
LONGEST_FRAME_S = 1.0


class Continuity:
    """Compares the wall clock (capture times) with the stream's clock, and finds holes.

    A row gives the start and end of a segment by wall clock. It is right only while both clocks
    move alike and pictures keep coming.
    """

    def __init__(self) -> None:
        self._last: Packet | None = None
        self._usual_s = 0.0
        self._wall_s = self._stream_s = 0.0

    def start(self, rate: float) -> None:
        """Start a connection whose declared frame rate is `rate`, 0.0 if none is."""
        self._last = None
        self._usual_s = 1 / rate if rate > 0 else 0.0

    def start_segment(self) -> None:
        """Compare the clocks from the next packet on."""
        self._wall_s = self._stream_s = 0.0

    def longest_frame_s(self) -> float:
        """How long one picture may count as recorded."""
        return max(LONGEST_FRAME_S, USUAL_STEPS * self._usual_s)

    def add(self, packet: Packet) -> str:
        """Why the packet does not follow the last one; empty if it does."""
        last, self._last = self._last, packet
        if last is None:
            return ""
        wall_s = packet.capture_time - last.capture_time
        stream_s = _stream_step(last, packet)
        stream_s = wall_s if stream_s is None else stream_s
        if reason := self._break(wall_s, stream_s):
            # Perhaps the camera has become slow: if so, the next pause is no break.
            self._usual_s = max(self._usual_s, min(wall_s, stream_s, SLOWEST_S))
            return reason
        self._wall_s += wall_s
        self._stream_s += stream_s
        self._usual_s += (max(stream_s, 0.0) - self._usual_s) / 8
        return ""

    def _break(self, wall_s: float, stream_s: float) -> str:
        tolerance = max(CLOCKS_PART_S, 2 * USUAL_STEPS * self._usual_s)
        parted = wall_s - stream_s
        ahead = self._wall_s + wall_s - self._stream_s - stream_s
        if abs(parted) > tolerance or ahead > tolerance:
            by = parted if abs(parted) > tolerance else ahead
            return f"the wall clock moved {by:+.1f} s against the stream's clock"
        pause = min(wall_s, stream_s)
        if pause > max(PAUSE_S, USUAL_STEPS * self._usual_s):
            return f"no picture for {pause:.1f} s"
        return ""


def _stream_step(last: Packet, packet: Packet) -> float | None:
    """Seconds of the stream between two packets, by dts where both have one."""
    for before, after in ((last.dts, packet.dts), (last.pts, packet.pts)):
        if before is not None and after is not None:
            return float(after * packet.time_base - before * last.time_base)
    return None
