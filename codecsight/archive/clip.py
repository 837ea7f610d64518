"""Clip export: one playable file with the recorded packets of a time range, not transcoded."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from codecsight.archive.clip_plan import MIN_GAP_S, ClipPlan, plan_clip
from codecsight.archive.clip_writer import check_clip_path, write_clip
from codecsight.archive.errors import ArchiveError
from codecsight.archive.footage.catalog import Footage
from codecsight.archive.footage.scan import can_open
from codecsight.archive.footage.spool_footage import LocalSegment, read_spool
from codecsight.archive.index import row_start
from codecsight.archive.segment import Segment, validate_stream_name
from codecsight.archive.store import ObjectStore

MAX_LOOKBACK_S = 3600.0
"""How far before the start a key frame is searched when a GOP spans several segments."""

_NO_SPOOL = "what a site has not uploaded yet counts only with its spool"


@dataclass(frozen=True, slots=True)
class Gap:
    """A wall-clock range (seconds since the epoch) missing from the clip, and the reason."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Summary of a written clip.

    `path` ends in .mkv where the codec does not fit MP4. `more_paths` are the files that continue
    it where the camera's codec changed. `start` and `end` are in seconds since the epoch. The
    clip's timeline follows the wall clock: the last picture stays on screen during each of the
    `gaps`. `packets` and `bytes` are those of all files.
    """

    path: Path
    start: float
    end: float
    packets: int
    bytes: int
    segments: tuple[str, ...]
    gaps: tuple[Gap, ...]
    more_paths: tuple[Path, ...] = ()


def cut_clip(
    store: ObjectStore, stream: str, start: float, end: float, out: Path, spool: Path | None = None
) -> ClipReport:
    """Write the recording of `stream` from the key frame at or before `start` to `end` into `out`.

    Times are in seconds since the epoch; nothing is transcoded. With the site's `spool`, recordings
    that are not uploaded yet count too, also the one that is being written. Raises ArchiveError
    where nothing was recorded in the range; the message lists what there is.
    """
    validate_stream_name(stream)
    check_clip_path(out)
    if end <= start:
        raise ArchiveError(
            f"the clip's end ({format_time(end)}) is not after its start ({format_time(start)})"
        )
    with _temporary_folder() as folder:
        segments, gaps, local = _gather(store, stream, start, end, spool, folder)
        plan = plan_clip(local, start, end)
        if not plan.selections:
            reason = "; ".join(gap.reason for gap in gaps) or "it has no key frame to start from"
            raise ArchiveError(f"{stream}: no part of this range can be played: {reason}")
        paths = write_clip(plan, out)
    gaps += _recording_gaps(start, end, segments)
    gaps += [Gap(*unusable, "it has no key frame to start from") for unusable in plan.unusable]
    return _report(plan, paths, gaps)


def _report(plan: ClipPlan, paths: tuple[Path, ...], gaps: list[Gap]) -> ClipReport:
    return ClipReport(
        path=paths[0],
        start=plan.start,
        end=plan.end,
        packets=sum(len(selection.indices) for selection in plan.selections),
        bytes=sum(path.stat().st_size for path in paths),
        segments=tuple(selection.source.segment.key for selection in plan.selections),
        gaps=tuple(sorted(gaps, key=lambda gap: gap.start)),
        more_paths=paths[1:],
    )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with _disk_errors():
        folder = tempfile.TemporaryDirectory(prefix="codecsight-clip-")
    with folder as path:
        yield Path(path)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn an OSError into an ArchiveError that names the temporary folder."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"the temporary folder {_temporary_root()} can't be used: {error.strerror or error}; "
            "set TMPDIR to a folder with room for the recordings"
        ) from error


def _temporary_root() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return ""


def _gather(
    store: ObjectStore, stream: str, start: float, end: float, spool: Path | None, folder: Path
) -> tuple[list[Segment], list[Gap], list[LocalSegment]]:
    """The segments of a range and those before it that it needs, a gap for each damaged row or
    file, and the files of the others. Raises ArchiveError if there is no segment.
    """
    with _disk_errors():
        spooled = read_spool(spool, stream, end, folder) if spool is not None else None
        footage = Footage(store, stream, folder, spooled)
        rows = footage.between(start, end)
        if not rows.segments:
            message = _nothing_recorded(footage, start, end, rows.damaged)
            raise ArchiveError(message if spool is not None else f"{message} ({_NO_SPOOL})")
        gaps = [Gap(row_start(k), row_start(k), f"the row {k} is damaged") for k in rows.damaged]
        lead_in = footage.lead_in(rows.segments[0], start, MAX_LOOKBACK_S, MIN_GAP_S)
        segments = [*lead_in, *rows.segments]
        return segments, gaps, list(_fetch(footage, segments, gaps))


def _fetch(footage: Footage, segments: list[Segment], gaps: list[Gap]) -> Iterator[LocalSegment]:
    """The verified files; a segment without one is appended to `gaps`."""
    for segment in segments:
        local = footage.fetch(segment)
        if isinstance(local, str):
            gaps.append(Gap(segment.start, segment.end, local))
        elif not can_open(local.path):
            gaps.append(Gap(segment.start, segment.end, f"{segment.key} can't be read"))
        else:
            yield local


def _recording_gaps(start: float, end: float, segments: list[Segment]) -> list[Gap]:
    """The ranges of more than MIN_GAP_S in which nothing was recorded."""
    starts = [segment.start for segment in segments if segment.start < end]
    ends = accumulate((segment.end for segment in segments if segment.start < end), max)
    pairs = zip([start, *ends], [*starts, end], strict=True)
    return [Gap(a, b, "nothing was recorded") for a, b in pairs if b - a > MIN_GAP_S]


def _nothing_recorded(footage: Footage, start: float, end: float, damaged: tuple[str, ...]) -> str:
    """An error message with the range asked for and what there is instead."""
    stream = footage.stream
    message = f"nothing was recorded of {stream} from {format_time(start)} to {format_time(end)}"
    if damaged:
        return f"{message} that can be read: damaged rows {', '.join(damaged)}"
    span = footage.span()
    if span is None:
        known = ", ".join(footage.streams()) or "no streams"
        return f"the archive has no stream {stream!r}; it has: {known}"
    message += f"; the archive has it from {format_time(span[0])} to {format_time(span[1])}"
    before, after = footage.around(start, end)
    if before is not None and after is not None:
        message += f", with a gap from {format_time(before)} to {format_time(after)}"
    return message


def format_time(seconds: float) -> str:
    """Seconds since the epoch as an ISO time in this machine's time zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
