"""Selection of a clip's packets, and the presentation and decode time of each.

Packets are selected by the edge's wall clock, but timed by the stream's own timestamps: a network
that delivers packets in bursts does not make the clip's motion uneven.

Example: segments A (0-10 s, key frames at 0 and 5) and B (10-20 s, key frames at 0 and 5 of it),
asked for 7 s to 12 s, select A's packets from its key frame at 5 s and B's up to 12 s.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av

from codecsight.archive.segment import Segment

TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick of a clip's timestamps."""

MIN_GAP_S = 1.0
"""Longest pause between two segments that still counts as continuous recording."""


@dataclass(frozen=True, slots=True)
class LocalSegment:
    """A segment and its downloaded file."""

    segment: Segment
    path: Path


@dataclass(frozen=True, slots=True)
class PacketSelection:
    """Packets of one segment: their indices in the file, and their presentation times in seconds on
    the clip's timeline, both in file order.
    """

    source: LocalSegment
    indices: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip's range in seconds since the epoch and its packets.

    `selections` is empty if the range has no key frame to start from.
    """

    start: float
    end: float
    selections: tuple[PacketSelection, ...]


@dataclass(frozen=True, slots=True)
class _PacketTimes:
    """Times of one segment's packets in file order: `pts` on the file's clock and `wall` in seconds
    since the epoch; `key_frames` are packet indices.
    """

    source: LocalSegment
    pts: tuple[float, ...]
    wall: tuple[float, ...]
    key_frames: tuple[int, ...]


def plan_clip(local: list[LocalSegment], start: float, end: float) -> ClipPlan:
    """Plan a clip from the last key frame at or before `start`, or the first after it, to `end`."""
    files = [times for times in map(_read_times, local) if times.pts]
    selections: list[PacketSelection] = []
    clip_start, clip_end = end, start
    for number, indices in _select(files, start, end):
        times = files[number]
        if not selections:
            # Pictures shown before the first key frame refer to frames that the clip lacks.
            indices = [index for index in indices if times.pts[index] >= times.pts[indices[0]]]
            clip_start = times.wall[indices[0]]
        selections.append(_place(times, indices, selections, clip_start))
        clip_end = max(times.wall[index] for index in indices)
    return ClipPlan(clip_start, clip_end, tuple(selections))


def decode_times(shown: list[int]) -> list[int]:
    """Strictly increasing decode times (dts) for presentation times (pts) in decode order.

    They are the sorted presentation times, moved earlier by as much as reordering requires, so that
    no packet is decoded after it is `shown` (where the presentation times are distinct).
    """
    ordered = sorted(shown)
    ahead = max(at - time for at, time in zip(ordered, shown, strict=True))
    return list(accumulate((at - ahead for at in ordered), lambda last, at: max(last + 1, at)))


def _read_times(local: LocalSegment) -> _PacketTimes:
    pts: list[float] = []
    key_frames: list[int] = []
    with av.open(str(local.path)) as container:
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None:
                if packet.is_keyframe:
                    key_frames.append(len(pts))
                pts.append(float(packet.pts * packet.time_base))
    wall = _wall_times(local.segment, pts, key_frames)
    return _PacketTimes(local, tuple(pts), wall, tuple(key_frames))


def _wall_times(segment: Segment, pts: list[float], key_frames: list[int]) -> tuple[float, ...]:
    """Wall-clock time of each packet: that of the key frame before it plus the stream time since.

    The row holds the wall clock of key frames only (`gops`); if their number differs from the
    file's, all times follow from the segment's start.
    """
    if not pts:
        return ()
    matches = len(key_frames) == len(segment.gops)
    offsets = dict(zip(key_frames, segment.gops, strict=True)) if matches else {}
    base = segment.start - pts[0]
    wall = []
    for index, at in enumerate(pts):
        if index in offsets:
            base = segment.start + offsets[index] - at
        wall.append(base + at)
    return tuple(wall)


def _select(files: list[_PacketTimes], start: float, end: float) -> list[tuple[int, list[int]]]:
    """The selected packet indices of each file, as (file number, indices)."""
    keys = [(number, key) for number, times in enumerate(files) for key in times.key_frames]
    key_times = [files[number].wall[key] for number, key in keys]
    if not keys:
        return []
    first = max(0, bisect_right(key_times, start) - 1)
    after = bisect_left(key_times, end, lo=first)
    stop = keys[after] if after < len(keys) else (len(files), 0)
    selected: list[tuple[int, list[int]]] = []
    for number, times in enumerate(files):
        begin = keys[first][1] if number == keys[first][0] else _first_usable(files, number)
        indices = [i for i in range(begin, len(times.pts)) if keys[first] <= (number, i) < stop]
        # With B-frames a packet shown after the end may be needed by a later one shown before it:
        # drop such packets only from the tail.
        while indices and times.wall[indices[-1]] >= end:
            indices.pop()
        if indices:
            selected.append((number, indices))
    return selected


def _first_usable(files: list[_PacketTimes], number: int) -> int:
    """The first packet that can follow the file before it: after a gap, only a key frame."""
    times = files[number]
    if number and times.wall[0] - max(files[number - 1].wall) < MIN_GAP_S:
        return 0
    return times.key_frames[0] if times.key_frames else len(times.pts)


def _place(
    times: _PacketTimes, indices: list[int], before: list[PacketSelection], clip_start: float
) -> PacketSelection:
    """Put packets on the clip's timeline: right after those before them, or after a real gap."""
    origin = min(times.pts[index] for index in indices)
    at = 0.0
    if before:
        newest = before[-1].seconds
        # One mean frame interval after the last packet.
        end = max(newest) + (max(newest) - min(newest)) / max(1, len(newest) - 1)
        offset = min(times.wall[index] for index in indices) - clip_start
        at = offset if offset - end > MIN_GAP_S else end
    seconds = tuple(at + times.pts[index] - origin for index in indices)
    return PacketSelection(times.source, tuple(indices), seconds)
