"""The spool: a folder on the edge's disk that holds segments between recording and upload.

SPOOL/STREAM/20261123T103000.123Z.mkv.part     being recorded
SPOOL/STREAM/20261123T103000.123Z-1a2b3c4d.mkv finished, with its row next to it as .json
SPOOL/STREAM/20261123T103000.123Z-1a2b3c4d.mkv.damaged set aside, its row as .json.damaged

A segment is finished once its row exists. The row is written last and removed last, so that the
files left by a killed process show which step it had reached.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codecsight.archive.errors import ArchiveError
from codecsight.archive.fsync import sync_file, sync_folder
from codecsight.archive.segment import (
    Segment,
    format_timestamp,
    from_json,
    segment_key,
    to_json,
    validate_stream_name,
)

PRIVATE = 0o700
"""Mode of a stream's folder: recorded video is for the user that records."""
ALARM_SHARE = 0.8
"""Part of its limit from which on a spool raises an alarm."""
DAMAGED = ".damaged"
"""Added to the names of a segment that can't be uploaded, for an operator."""
UNREADABLE = ".unreadable"
"""Added to the name of a file in which no packet was found, for an operator."""


class Spool:
    """The folder of one stream, locked by one recording process at a time.

    `limit_bytes` limits the folder's total size (None: no limit but the disk's).
    """

    def __init__(self, root: Path, stream: str, limit_bytes: int | None = None) -> None:
        self.stream = validate_stream_name(stream)
        self.folder = root / stream
        self._limit = limit_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(PRIVATE)
            self._lock: BinaryIO = (self.folder / ".lock").open("wb")
        except OSError as error:
            raise ArchiveError(
                f"camera {stream}: can't record into {self.folder}: {error.strerror}; "
                "choose a folder this user can write to"
            ) from error
        self._take_lock()

    def new_part(self, start: float) -> Path:
        """A new file path for a segment that starts at `start` (seconds since the epoch)."""
        self.folder.mkdir(parents=True, exist_ok=True)  # it may have been deleted meanwhile
        path = self.folder / f"{format_timestamp(start)}.mkv.part"
        while path.exists():
            start += 0.001
            path = self.folder / f"{format_timestamp(start)}.mkv.part"
        return path

    def unfinished(self) -> list[Path]:
        """Files without a row, left by a killed process or a full disk, oldest first."""
        return unfinished_files(self.folder)

    def finish(self, part: Path, start: float, end: float, gops: tuple[float, ...]) -> Segment:
        """Turn a written part into a segment: sync it, write its row, and rename both.

        Raises OSError if the disk fails; the part is then unchanged.
        """
        digest, size = _sync_and_hash(part)
        key = segment_key(self.stream, start, digest)
        segment = Segment(self.stream, start, end, gops, size, digest, key)
        path = self.folder / Path(key).name
        with _synced_row(self.folder, segment) as row:
            part.replace(path)
            row.replace(row_path(path))
        sync_folder(self.folder)
        return segment

    def discard_oldest(self) -> list[int]:
        """Delete the oldest finished segments until the folder is within its limit.

        Returns their sizes in bytes. This is data loss: uploaded segments have left the folder
        already, so the deleted video exists nowhere else. What was set aside as damaged goes first.
        """
        if self._limit is None:
            return []
        sizes = {path: path.stat().st_size for path in self.folder.glob("*.mkv*")}
        excess = sum(sizes.values()) - self._limit
        deleted: list[int] = []
        damaged = sorted(path for path in sizes if path.suffix in (DAMAGED, UNREADABLE))
        for path in [*damaged, *sorted(path for path in sizes if path.suffix == ".mkv")]:
            if sum(deleted) >= excess:
                break
            remove_segment(path)
            deleted.append(sizes[path])
        return deleted

    def alarm(self) -> str:
        """What will be lost if nothing changes, long before it is; empty if all is well."""
        if self._limit is None:
            return ""
        used = sum(path.stat().st_size for path in self.folder.glob("*.mkv*"))
        free = shutil.disk_usage(self.folder).free
        if used >= ALARM_SHARE * self._limit:
            return (
                f"the spool of {self.stream} is {used / self._limit:.0%} full of footage that is "
                "not uploaded; at 100% the oldest is deleted"
            )
        if free < self._limit - used:
            return (
                f"the disk of {self.folder} has {free / 1e9:.1f} GB left, less than the spool may "
                f"still take ({(self._limit - used) / 1e9:.1f} GB); free some, or lower the limit"
            )
        return ""

    def release(self) -> None:
        """Release the lock, so that another process can record into the folder."""
        self._lock.close()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ArchiveError(
                f"camera {self.stream}: another process records into {self.folder}; "
                "stop it, or give this camera another name or spool"
            ) from error


def finished_segments(folder: Path) -> Iterator[tuple[Path, Segment]]:
    """The finished segments of one stream's folder with their video files, oldest first.

    Raises ArchiveError on reaching a damaged row; `finished_rows` lists rows without reading them.
    """
    for row in finished_rows(folder):
        yield row.with_suffix(".mkv"), from_json(row.read_bytes(), str(row))


def finished_rows(folder: Path) -> list[Path]:
    """The row files of one stream's folder, oldest first."""
    return sorted(folder.glob("*Z-*.json"))


def unfinished_files(folder: Path) -> list[Path]:
    """The files of one stream's folder without a row, oldest first: one that is being recorded, and
    those that a killed process or a full disk left.
    """
    videos = [path for path in folder.glob("*.mkv") if not row_path(path).exists()]
    return sorted([*videos, *folder.glob("*.mkv.part")])


def row_path(segment_path: Path) -> Path:
    """The path of the row that belongs to a finished segment's file."""
    return segment_path.with_suffix(".json")


def set_aside(row: Path) -> Path:
    """Mark a finished segment as damaged, for good: its video and row are renamed, so that neither
    is uploaded or recovered. Returns the video's new path.
    """
    video = row.with_suffix(".mkv")
    damaged = video.with_name(video.name + DAMAGED)
    video.replace(damaged)  # first: a row without a video would count as discarded
    row.replace(row.with_name(row.name + DAMAGED))
    return damaged


def damaged_rows(folder: Path) -> list[Path]:
    """The rows of one stream's segments that were set aside, oldest first."""
    return sorted(folder.glob(f"*Z-*.json{DAMAGED}"))


def remove_segment(path: Path) -> None:
    """Delete a finished segment, then its row; either may be missing."""
    path.unlink(missing_ok=True)
    row_path(path).unlink(missing_ok=True)


@contextmanager
def _synced_row(folder: Path, segment: Segment) -> Iterator[Path]:
    """A synced row under a temporary name.

    Writing it before any rename makes a full disk fail early, with the part still unchanged.
    """
    row = folder / ".row"
    try:
        with row.open("wb") as file:
            file.write(to_json(segment))
            sync_file(file)
        yield row
    finally:
        row.unlink(missing_ok=True)


def _sync_and_hash(part: Path) -> tuple[str, int]:
    with part.open("rb") as file:
        sync_file(file)
        return hashlib.file_digest(file, "sha256").hexdigest(), part.stat().st_size
