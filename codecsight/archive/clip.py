"""Clip export: one playable file with the recorded packets of a time range, not transcoded."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from codecsight.archive.clip_plan import MIN_GAP_S, LocalSegment, plan_clip
from codecsight.archive.clip_writer import same_format, write_clip
from codecsight.archive.errors import ArchiveError, MissingObjectError
from codecsight.archive.index import Index, IndexQueryResult, row_start
from codecsight.archive.segment import Segment, validate_stream_name
from codecsight.archive.store import ObjectStore

MAX_LOOKBACK_S = 3600.0
"""How far before the start a key frame is searched when a GOP spans several segments."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A wall-clock range (seconds since the epoch) missing from the clip, and the reason."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Summary of a written clip.

    `path` ends in .mkv where the codec does not fit MP4. `start` and `end` are in seconds since the
    epoch. The clip's timeline follows the wall clock: the last picture stays on screen during each
    of the `gaps`.
    """

    path: Path
    start: float
    end: float
    packets: int
    bytes: int
    segments: tuple[str, ...]
    gaps: tuple[Gap, ...]


def cut_clip(store: ObjectStore, stream: str, start: float, end: float, out: Path) -> ClipReport:
    """Write the recording of `stream` from the key frame at or before `start` to `end` into `out`.

    Times are in seconds since the epoch; nothing is transcoded. Raises ArchiveError where nothing
    was recorded in the range; the message lists what the archive holds.
    """
    if end <= start:
        raise ArchiveError(
            f"the clip's end ({format_time(end)}) is not after its start ({format_time(start)})"
        )
    index = Index(store)
    rows = index.between(validate_stream_name(stream), start, end)
    if not rows.segments:
        raise ArchiveError(_nothing_recorded(index, stream, start, end, rows))
    segments = [*_lead_in(index, rows.segments[0], start), *rows.segments]
    gaps = [Gap(row_start(k), row_start(k), f"the row {k} is damaged") for k in rows.damaged]
    with tempfile.TemporaryDirectory(prefix="codecsight-clip-") as folder:
        local = list(_download(store, segments, Path(folder), gaps))
        usable = same_format(local)
        plan = plan_clip(usable, start, end)
        if not plan.selections:
            reason = "; ".join(gap.reason for gap in gaps) or "it has no key frame to start from"
            raise ArchiveError(f"{stream}: no part of this range can be played: {reason}")
        path = write_clip(plan, out)
    format_end = end
    if len(usable) < len(local):  # one file holds one codec and picture size
        format_end = local[len(usable)].segment.start
        gaps.append(Gap(format_end, end, "the camera's codec or picture size changed"))
    gaps += _recording_gaps(start, format_end, segments)
    return ClipReport(
        path=path,
        start=plan.start,
        end=plan.end,
        packets=sum(len(selection.indices) for selection in plan.selections),
        bytes=path.stat().st_size,
        segments=tuple(selection.source.segment.key for selection in plan.selections),
        gaps=tuple(sorted(gaps, key=lambda gap: gap.start)),
    )


def _lead_in(index: Index, first: Segment, start: float) -> list[Segment]:
    """The segments before `first` that hold the start of its GOP, oldest first.

    They are needed only if `first` has no key frame at or before `start`: a GOP longer than a
    segment continues in the next one.
    """
    needed: list[Segment] = []
    head = first
    for row in index.before(first.stream, first.start, MAX_LOOKBACK_S):
        if head.gops and (head.start + head.gops[0] <= start or head.gops[0] == 0.0):
            break
        if head.start - row.end > MIN_GAP_S:
            break
        needed.insert(0, row)
        head = row
    return needed


def _download(
    store: ObjectStore, segments: list[Segment], folder: Path, gaps: list[Gap]
) -> Iterator[LocalSegment]:
    """Download and verify each segment; one that is missing or damaged is appended to `gaps`."""
    for number, segment in enumerate(segments):
        path = folder / f"{number}.mkv"
        try:
            if store.download(segment.key, path) == segment.sha256:
                yield LocalSegment(segment, path)
                continue
            reason = f"{segment.key} is damaged"
        except MissingObjectError:
            reason = f"{segment.key} is missing"
        gaps.append(Gap(segment.start, segment.end, reason))


def _recording_gaps(start: float, end: float, segments: list[Segment]) -> list[Gap]:
    """The ranges of more than MIN_GAP_S in which nothing was recorded."""
    starts = [segment.start for segment in segments if segment.start < end]
    ends = [segment.end for segment in segments if segment.start < end]
    pairs = zip([start, *ends], [*starts, end], strict=True)
    return [Gap(a, b, "nothing was recorded") for a, b in pairs if b - a > MIN_GAP_S]


def _nothing_recorded(
    index: Index, stream: str, start: float, end: float, rows: IndexQueryResult
) -> str:
    """An error message with the range asked for and what the archive holds instead."""
    message = f"nothing was recorded of {stream} from {format_time(start)} to {format_time(end)}"
    if rows.damaged:
        return f"{message} that can be read: damaged rows {', '.join(rows.damaged)}"
    span = index.span(stream)
    if span:
        first, last = (format_time(moment) for moment in span)
        return f"{message}; the archive has it from {first} to {last}"
    known = ", ".join(index.streams()) or "no streams"
    return f"the archive has no stream {stream!r}; it has: {known}"


def format_time(seconds: float) -> str:
    """Seconds since the epoch as an ISO time in this machine's time zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
