"""Playable video out of the archive: the packets of a range of time, as they were recorded."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from codecsight.archive.clip_plan import GAP_S, LocalSegment, plan_clip
from codecsight.archive.clip_writer import same_format, write_clip
from codecsight.archive.errors import ArchiveError
from codecsight.archive.index import Index, IndexQueryResult
from codecsight.archive.segment import Segment, parse_timestamp, validate_stream_name
from codecsight.archive.store import MissingObjectError, ObjectStore

REACH_S = 3600.0
"""How far back the key frame is looked for that a GOP longer than its segment began with."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of wall clock that the clip does not show, and why."""

    start: float
    end: float
    why: str


@dataclass(frozen=True, slots=True)
class ClipReport:
    """The clip at `path` (.mkv where its codec does not fit MP4) shows `start` to `end`, seconds
    since the epoch, less `gaps`. Its clock is the wall clock's: through a gap the picture stands.
    """

    path: Path
    start: float
    end: float
    packets: int
    bytes: int
    segments: tuple[str, ...]
    gaps: tuple[Gap, ...]


def cut_clip(store: ObjectStore, stream: str, start: float, end: float, out: Path) -> ClipReport:
    """Write what `stream` recorded from the key frame at or before `start` to `end` (seconds since
    the epoch) to `out`, without transcoding.

    Raises ArchiveError where nothing was recorded then, telling what there is.
    """
    if end <= start:
        raise ArchiveError(
            f"the clip would end ({format_time(end)}) before it begins ({format_time(start)})"
        )
    index = Index(store)
    rows = index.between(validate_stream_name(stream), start, end)
    if not rows.segments:
        raise ArchiveError(_nothing(index, stream, start, end, rows))
    segments = [*_lead_in(index, rows.segments[0], start), *rows.segments]
    gaps = [Gap(_began(key), _began(key), f"the row {key} is damaged") for key in rows.damaged]
    with tempfile.TemporaryDirectory(prefix="codecsight-clip-") as folder:
        pieces = list(_fetch(store, segments, Path(folder), gaps))
        same = same_format(pieces)
        plan = plan_clip(same, start, end)
        if not plan.parts:
            why = "; ".join(gap.why for gap in gaps) or "there is no key frame to begin with"
            raise ArchiveError(f"{stream}: nothing of this can be shown: {why}")
        path = write_clip(plan, out)
    shown_until = end
    if len(same) < len(pieces):
        shown_until = pieces[len(same)].segment.start
        gaps.append(Gap(shown_until, end, "the camera's codec or picture size changed"))
    gaps += _holes(start, shown_until, segments)
    return ClipReport(
        path=path,
        start=plan.start,
        end=plan.end,
        packets=sum(len(part.places) for part in plan.parts),
        bytes=path.stat().st_size,
        segments=tuple(part.piece.segment.key for part in plan.parts),
        gaps=tuple(sorted(gaps, key=lambda gap: gap.start)),
    )


def _lead_in(index: Index, first: Segment, start: float) -> list[Segment]:
    """The segments before `first` that are needed where it has no key frame at or before `start`,
    oldest first: a GOP that outgrew a segment goes on in the next.
    """
    needed: list[Segment] = []
    head = first
    for row in index.before(first.stream, first.start, REACH_S):
        if head.gops and (head.start + head.gops[0] <= start or head.gops[0] == 0.0):
            break
        if head.start - row.end > GAP_S:
            break
        needed.insert(0, row)
        head = row
    return needed


def _fetch(
    store: ObjectStore, segments: list[Segment], folder: Path, gaps: list[Gap]
) -> Iterator[LocalSegment]:
    for number, segment in enumerate(segments):
        path = folder / f"{number}.mkv"
        try:
            if store.download(segment.key, path) == segment.sha256:
                yield LocalSegment(segment, path)
                continue
            why = f"{segment.key} is damaged"
        except MissingObjectError:
            why = f"{segment.key} is missing"
        gaps.append(Gap(segment.start, segment.end, why))


def _holes(start: float, end: float, segments: list[Segment]) -> list[Gap]:
    """Where nothing was recorded, for more than GAP_S."""
    begun = [segment.start for segment in segments if segment.start < end]
    ended = [segment.end for segment in segments if segment.start < end]
    pairs = zip([start, *ended], [*begun, end], strict=True)
    return [Gap(a, b, "nothing was recorded") for a, b in pairs if b - a > GAP_S]


def _began(row_key: str) -> float:
    return parse_timestamp(row_key.rpartition("/")[2])


def _nothing(index: Index, stream: str, start: float, end: float, rows: IndexQueryResult) -> str:
    wanted = f"nothing was recorded of {stream} from {format_time(start)} to {format_time(end)}"
    if rows.damaged:
        return f"{wanted} that can be read: damaged rows {', '.join(rows.damaged)}"
    span = index.span(stream)
    if span:
        return f"{wanted}; the archive has it from {format_time(span[0])} to {format_time(span[1])}"
    known = ", ".join(index.streams()) or "none at all"
    return f"the archive has no stream {stream!r}; it has: {known}"


def format_time(seconds: float) -> str:
    """A wall clock as people write it, in this machine's time zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
