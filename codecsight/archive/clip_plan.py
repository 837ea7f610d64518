"""Selection of a clip's packets, and the presentation and decode time of each.

Packets are selected by the edge's wall clock, but timed by the stream's own timestamps: a network
that delivers packets in bursts does not make the clip's motion uneven.

Example: segments A (0-10 s, key frames at 0 and 5) and B (10-20 s, key frames at 0 and 5 of it),
asked for 7 s to 12 s, select A's packets from its key frame at 5 s and B's up to 12 s.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from statistics import median

from codecsight.archive.footage.scan import (
    VideoParameters,
    open_recording,
    video_packets,
    video_parameters,
)
from codecsight.archive.footage.spool_footage import LocalSegment
from codecsight.archive.segment import Segment

TIME_BASE = Fraction(1, 10_000)
"""Seconds per tick of a clip's timestamps: finer than the milliseconds of the recorded files, and
coarse enough for MP4, which allows 2**31 ticks from one picture to the next.
"""

MIN_GAP_S = 1.0
"""Longest pause between two segments that still counts as continuous recording."""

OVERLAP_S = 0.05
"""Largest difference by which a segment may begin before the last packet of the one it follows."""

MAX_PAUSE_S = 10.0
"""Longest pause after which a segment that starts within a GOP can continue it: the recorder begins
a new segment after a pause, and a camera that pauses for longer is connected again.
"""

MAX_HOLD_S = 48 * 3600.0
"""Longest time for which a clip shows the last picture before a gap."""


@dataclass(frozen=True, slots=True)
class PacketSelection:
    """Packets of one segment: their indices in the file, and their presentation times in seconds on
    the clip's timeline, both in file order. `offset` is the clip's time minus the file's.
    """

    source: LocalSegment
    indices: tuple[int, ...]
    seconds: tuple[float, ...]
    offset: float


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip's range in seconds since the epoch and its packets.

    `selections` is empty if the range has no key frame to start from. `unusable` are the recorded
    ranges that can't be shown because they have no key frame to start from.
    """

    start: float
    end: float
    selections: tuple[PacketSelection, ...]
    unusable: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _PacketTimes:
    """Times of one segment's packets in file order: `pts` on the file's clock and `wall` in seconds
    since the epoch; `key_frames` are packet indices, `video` what describes the stream.
    """

    source: LocalSegment
    pts: tuple[float, ...]
    wall: tuple[float, ...]
    key_frames: tuple[int, ...]
    video: VideoParameters


def plan_clip(local: list[LocalSegment], start: float, end: float) -> ClipPlan:
    """Plan a clip from the last key frame at or before `start`, or the first after it, to `end`."""
    selections: list[PacketSelection] = []
    unusable: list[tuple[float, float]] = []
    clip_start, clip_end = end, start
    for files in _passes([times for times in map(_read_times, local) if times.pts]):
        first_used: dict[int, int] = {}
        for number, indices in _select(files, start, end):
            times = files[number]
            if not selections or indices[0] > 0 or not _follows(files, number):
                # Pictures shown before the key frame refer to frames that the clip lacks.
                indices = [index for index in indices if times.pts[index] >= times.pts[indices[0]]]
            if not selections:
                clip_start = times.wall[indices[0]]
            first_used[number] = indices[0]
            selections.append(_place(times, indices, selections, clip_start))
            clip_end = max(clip_end, *(times.wall[index] for index in indices))
        unusable += _unusable(files, first_used, start, end)
    return ClipPlan(clip_start, clip_end, tuple(selections), tuple(unusable))


def _passes(files: list[_PacketTimes]) -> list[list[_PacketTimes]]:
    """The files, in order of time, by passes: after the wall clock was set back, the same time is
    recorded again. Each pass is shown whole instead of both in turns.
    """
    passes: list[list[_PacketTimes]] = []
    for times in files:
        start = times.source.segment.start
        ends = {number: _last_capture(one[-1]) for number, one in enumerate(passes)}
        over = [number for number, end in ends.items() if end <= start + OVERLAP_S]
        if over:
            passes[max(over, key=ends.__getitem__)].append(times)
        else:
            passes.append([times])
    return passes


def _last_capture(times: _PacketTimes) -> float:
    """Wall clock of a file's last packet, from the row's end, which is one picture later."""
    picture_s = (max(times.pts) - min(times.pts)) / max(1, len(times.pts) - 1)
    return times.source.segment.end - picture_s


def _unusable(
    files: list[_PacketTimes], first_used: dict[int, int], start: float, end: float
) -> list[tuple[float, float]]:
    """The ranges of more than MIN_GAP_S whose pictures have no key frame before them."""
    ranges: list[tuple[float, float]] = []
    for number, times in enumerate(files):
        used = first_used.get(number)
        until = times.source.segment.end if used is None else times.wall[used]
        begin, until = max(start, times.wall[0]), min(end, until)
        if ranges and until > begin <= ranges[-1][1] + MIN_GAP_S:
            ranges[-1] = ranges[-1][0], until
        elif until > begin:
            ranges.append((begin, until))
    return [(begin, until) for begin, until in ranges if until - begin > MIN_GAP_S]


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
    with open_recording(local.path) as container:
        video = video_parameters(container)
        for packet in video_packets(container):
            if packet.is_keyframe:
                key_frames.append(len(pts))
            pts.append(float((packet.pts or 0) * packet.time_base))
    pts = distinct_times(pts, local.segment.end - local.segment.start)
    wall = _wall_times(local.segment, pts, key_frames)
    return _PacketTimes(local, tuple(pts), wall, tuple(key_frames), video)


def distinct_times(pts: list[float], length: float) -> list[float]:
    """Presentation times (in decode order) with those of equal time spread up to the next time.

    Example: 0, 0, 100 -> 0, 50, 100. Cameras send such times, and no MP4 file can hold them. Where
    all are equal, they are spread over `length` seconds.
    """
    distinct = sorted(set(pts))
    if len(distinct) == len(pts):
        return pts
    steps = [b - a for a, b in pairwise(distinct)]
    step = median(steps) if steps else max(length, 0.001 * len(pts))
    room = dict(zip(distinct, [*steps, step], strict=True))
    count, placed = Counter(pts), Counter[float]()
    spread = []
    for time in pts:
        spread.append(time + min(room[time] / count[time], step) * placed[time])
        placed[time] += 1
    return spread


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
    complete = False
    for number, times in enumerate(files):
        begin = _first_usable(files, number, complete)
        begin = keys[first][1] if number == keys[first][0] else begin
        complete = begin < len(times.pts)
        indices = [i for i in range(begin, len(times.pts)) if keys[first] <= (number, i) < stop]
        # With B-frames a packet shown after the end may be needed by a later one shown before it:
        # drop such packets only from the tail.
        while indices and times.wall[indices[-1]] >= end:
            indices.pop()
        if indices:
            selected.append((number, indices))
    return selected


def _first_usable(files: list[_PacketTimes], number: int, complete: bool) -> int:
    """The first packet that can follow the file before it: only a key frame, after a gap and after
    a file that is not `complete` because nothing of it can be shown.
    """
    times = files[number]
    if complete and _follows(files, number):
        return 0
    return times.key_frames[0] if times.key_frames else len(times.pts)


def _follows(files: list[_PacketTimes], number: int) -> bool:
    """Whether a file continues the one before it: without a gap, or with a short pause in a GOP."""
    if number == 0 or files[number].video != files[number - 1].video:
        return False
    pause = files[number].wall[0] - max(files[number - 1].wall)
    return pause < (MIN_GAP_S if files[number].key_frames[:1] == (0,) else MAX_PAUSE_S)


def _place(
    times: _PacketTimes, indices: list[int], before: list[PacketSelection], clip_start: float
) -> PacketSelection:
    """Put packets on the clip's timeline: right after those before them, or after a real gap."""
    origin = min(times.pts[index] for index in indices)
    at = 0.0
    if before:
        newest = before[-1].seconds
        # One mean frame interval after the last packet.
        step = (max(newest) - min(newest)) / max(1, len(newest) - 1)
        end = max(newest) + max(step, 0.001)
        offset = min(times.wall[index] for index in indices) - clip_start
        at = min(offset, end + MAX_HOLD_S) if offset - end > MIN_GAP_S else end
    seconds = tuple(at + times.pts[index] - origin for index in indices)
    return PacketSelection(times.source, tuple(indices), seconds, at - origin)
