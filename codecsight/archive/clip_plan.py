"""Which packets of which segments make a clip, and when each is shown and decoded.

Packets are chosen by the wall clock of the edge and shown by the stream's own clock, so that a
network that delivered in bursts does not show in how the clip moves.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av

from codecsight.archive.segment import Segment

CLOCK = Fraction(1, 90_000)
GAP_S = 1.0


@dataclass(frozen=True, slots=True)
class LocalSegment:
    """A segment and its file on this machine."""

    segment: Segment
    path: Path


@dataclass(frozen=True, slots=True)
class PacketSelection:
    """Packets of one piece, by their places in the file, and when each is shown: `seconds` on the
    clip's clock, in the file's order.
    """

    piece: LocalSegment
    places: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip that begins and ends at these seconds since the epoch; no `parts` means that there
    was no key frame to begin with.
    """

    start: float
    end: float
    parts: tuple[PacketSelection, ...]


@dataclass(frozen=True, slots=True)
class _Scan:
    """What a piece holds, a value for each packet in the file's order: when it is `shown` on the
    file's clock and on the `wall` clock; and the places of its `keys`.
    """

    piece: LocalSegment
    shown: tuple[float, ...]
    wall: tuple[float, ...]
    keys: tuple[int, ...]


def plan_clip(pieces: list[LocalSegment], start: float, end: float) -> ClipPlan:
    """From the last key frame at or before `start`, or the first after it, to `end`."""
    scans = [scan for scan in map(_scan, pieces) if scan.shown]
    parts: list[PacketSelection] = []
    begins, ends = end, start
    for number, places in _choose(scans, start, end):
        scan = scans[number]
        if not parts:
            places = [place for place in places if scan.shown[place] >= scan.shown[places[0]]]
            begins = scan.wall[places[0]]
        parts.append(_place(scan, places, parts, begins))
        ends = max(scan.wall[place] for place in places)
    return ClipPlan(begins, ends, tuple(parts))


def decode_times(shown: list[int]) -> list[int]:
    """When each packet is decoded, rising and none later than it is `shown`, for packets in
    decoding order: the times shown, sorted, moved ahead as far as reordering needs.
    """
    ordered = sorted(shown)
    ahead = max(at - time for at, time in zip(ordered, shown, strict=True))
    return list(accumulate((at - ahead for at in ordered), lambda last, at: max(last + 1, at)))


def _scan(piece: LocalSegment) -> _Scan:
    shown: list[float] = []
    keys: list[int] = []
    with av.open(str(piece.path)) as container:
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None:
                if packet.is_keyframe:
                    keys.append(len(shown))
                shown.append(float(packet.pts * packet.time_base))
    return _Scan(piece, tuple(shown), _wall(piece.segment, shown, keys), tuple(keys))


def _wall(segment: Segment, shown: list[float], keys: list[int]) -> tuple[float, ...]:
    """A packet's wall clock: that of the key frame before it and the stream's time since."""
    if not shown:
        return ()
    known = dict(zip(keys, segment.gops, strict=True)) if len(keys) == len(segment.gops) else {}
    base = segment.start - shown[0]
    wall = []
    for place, at in enumerate(shown):
        if place in known:
            base = segment.start + known[place] - at
        wall.append(base + at)
    return tuple(wall)


def _choose(scans: list[_Scan], start: float, end: float) -> list[tuple[int, list[int]]]:
    """The chosen places of each piece, by its number."""
    keys = [(number, key) for number, scan in enumerate(scans) for key in scan.keys]
    times = [scans[number].wall[key] for number, key in keys]
    if not keys:
        return []
    first = max(0, bisect_right(times, start) - 1)
    after = bisect_left(times, end, lo=first)
    stop = keys[after] if after < len(keys) else (len(scans), 0)
    chosen: list[tuple[int, list[int]]] = []
    for number, scan in enumerate(scans):
        begin = keys[first][1] if number == keys[first][0] else _joint(scans, number)
        places = [p for p in range(begin, len(scan.shown)) if keys[first] <= (number, p) < stop]
        # What is shown after the end stays where something shown before it comes later.
        while places and scan.wall[places[-1]] >= end:
            places.pop()
        if places:
            chosen.append((number, places))
    return chosen


def _joint(scans: list[_Scan], number: int) -> int:
    """Where a piece can be joined to the one before it: after a gap, only at a key frame."""
    scan = scans[number]
    if number and scan.wall[0] - max(scans[number - 1].wall) < GAP_S:
        return 0
    return scan.keys[0] if scan.keys else len(scan.shown)


def _place(
    scan: _Scan, places: list[int], before: list[PacketSelection], begins: float
) -> PacketSelection:
    """Put packets on the clip's clock: right behind those before them, or after a true gap."""
    origin = min(scan.shown[place] for place in places)
    at = 0.0
    if before:
        newest = before[-1].seconds
        end = max(newest) + (max(newest) - min(newest)) / max(1, len(newest) - 1)
        gap = min(scan.wall[place] for place in places) - begins
        at = gap if gap - end > GAP_S else end
    seconds = tuple(at + scan.shown[place] - origin for place in places)
    return PacketSelection(scan.piece, tuple(places), seconds)
