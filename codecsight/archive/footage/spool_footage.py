"""What a site's spool holds of a stream: segments that wait for upload, and unfinished ones."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import av

from codecsight.archive.errors import ArchiveError, RowError
from codecsight.archive.footage.scan import scan
from codecsight.archive.segment import (
    Segment,
    format_timestamp,
    from_json,
    parse_timestamp,
    validate_stream_name,
)
from codecsight.archive.spool import damaged_rows, finished_rows, unfinished_files

NO_CHECKSUM = ""
"""In place of the checksum of an unfinished segment."""


@dataclass(frozen=True, slots=True)
class LocalSegment:
    """A segment and its file on this machine."""

    segment: Segment
    path: Path


@dataclass(frozen=True, slots=True)
class SpoolFootage:
    """Local segments, oldest first, and the paths of unreadable rows."""

    segments: tuple[LocalSegment, ...]
    damaged: tuple[str, ...]


def read_spool(spool: Path, stream: str, end: float, folder: Path) -> SpoolFootage:
    """The segments of `stream`; files of those that start before `end` may be read until `folder`
    is removed.

    The one that is being recorded, and those that a killed recorder left, count with the packets
    they hold now. Raises ArchiveError without a spool, and OSError if a copy can't be written.
    """
    validate_stream_name(stream)
    try:
        if not spool.is_dir():
            raise ArchiveError(f"spool {spool}: no such folder")
        return _read(spool / stream, stream, end, folder)
    except PermissionError as error:
        raise ArchiveError(
            f"spool {spool}: {error.filename} can't be read: {error.strerror}; run this as the "
            "user that records"
        ) from error


def _read(place: Path, stream: str, end: float, folder: Path) -> SpoolFootage:
    # Unfinished files first: one that is finished meanwhile is found among the finished ones.
    unfinished = [_snapshot(path, stream, end, folder) for path in unfinished_files(place)]
    finished, damaged = _finished(place)
    known = {format_timestamp(one.segment.start) for one in finished}
    found = [one for one in unfinished if one and format_timestamp(one.segment.start) not in known]
    ordered = sorted([*finished, *found], key=lambda one: one.segment.start)
    return SpoolFootage(tuple(ordered), tuple(damaged))


def link_or_copy(path: Path, folder: Path) -> Path:
    """A second name for a finished file, so that it stays readable when the spool deletes it."""
    other = folder / path.name
    try:
        other.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:  # another file system
        shutil.copyfile(path, other)
    return other


def _finished(place: Path) -> tuple[list[LocalSegment], list[str]]:
    found: list[LocalSegment] = []
    damaged = [str(row) for row in damaged_rows(place)]
    for row in finished_rows(place):
        try:
            segment = from_json(row.read_bytes(), str(row))
        except FileNotFoundError:
            continue  # uploaded meanwhile
        except RowError:
            damaged.append(str(row))
            continue
        found.append(LocalSegment(segment, row.with_suffix(".mkv")))
    return found, damaged


def _snapshot(path: Path, stream: str, end: float, folder: Path) -> LocalSegment | None:
    """An unfinished file as it is now, copied if it is needed; None if it has no packet."""
    try:
        start = parse_timestamp(path.name)
        if start < end:  # the recorder writes to the original, and renames it
            path = Path(shutil.copyfile(path, folder / path.name))
        found = scan(path)
        size = path.stat().st_size
    except (FileNotFoundError, ArchiveError, av.FFmpegError):
        return None  # finished meanwhile, not ours, or without a header yet
    if found is None:
        return None
    length, gops = found
    row = Segment(stream, start, start + length, gops, size, NO_CHECKSUM, path.name)
    return LocalSegment(row, path)
