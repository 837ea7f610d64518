"""The edge's disk: where one stream's segments stand between recording and upload.

SPOOL/STREAM/20261123T103000.123Z.mkv.part     being recorded
SPOOL/STREAM/20261123T103000.123Z-1a2b3c4d.mkv finished, with its row beside it as .json

A segment counts as finished when its row is there; the row is written last and, on removal,
goes last, so that a killed process leaves something that says what happened.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codecsight.archive.errors import ArchiveError
from codecsight.archive.segment import (
    Segment,
    format_timestamp,
    from_json,
    segment_key,
    to_json,
    validate_stream_name,
)


class Spool:
    """The folder of one stream, owned by one recording process at a time.

    `limit_bytes` bounds what the folder may hold (None: the disk itself is the limit).
    """

    def __init__(self, root: Path, stream: str, limit_bytes: int | None = None) -> None:
        self.stream = validate_stream_name(stream)
        self.folder = root / stream
        self._limit = limit_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock: BinaryIO = (self.folder / ".lock").open("wb")
        except OSError as error:
            raise ArchiveError(
                f"camera {stream}: cannot record into {self.folder}: {error.strerror}; "
                "name a folder this user can write to"
            ) from error
        self._take_lock()

    def new_part(self, start: float) -> Path:
        """A path for a segment beginning at `start`; it does not exist yet."""
        self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have tidied up
        path = self.folder / f"{format_timestamp(start)}.mkv.part"
        while path.exists():
            start += 0.001
            path = self.folder / f"{format_timestamp(start)}.mkv.part"
        return path

    def unfinished(self) -> list[Path]:
        """What a killed process or a full disk left without a row, oldest first."""
        videos = [path for path in self.folder.glob("*.mkv") if not row_path(path).exists()]
        return sorted([*videos, *self.folder.glob("*.mkv.part")])

    def finish(self, part: Path, start: float, end: float, gops: tuple[float, ...]) -> Segment:
        """Make a written part a segment: on the platter, under its name, with its row.

        Raises OSError where the disk refuses; the part then stays as it is.
        """
        digest, size = _sync_and_hash(part)
        key = segment_key(self.stream, start, digest)
        segment = Segment(self.stream, start, end, gops, size, digest, key)
        path = self.folder / Path(key).name
        with _synced_row(self.folder, segment) as row:
            part.replace(path)
            row.replace(row_path(path))
        _sync_folder(self.folder)
        return segment

    def discard_oldest(self) -> list[int]:
        """Delete the oldest finished segments while the folder is over its limit; their sizes.

        What was uploaded is gone already, so this is video that exists nowhere else: it happens
        only when the limit demands it.
        """
        if self._limit is None:
            return []
        sizes = {path: path.stat().st_size for path in self.folder.glob("*.mkv*")}
        excess = sum(sizes.values()) - self._limit
        gone: list[int] = []
        for path in sorted(path for path in sizes if path.suffix == ".mkv"):
            if sum(gone) >= excess:
                break
            remove_segment(path)
            gone.append(sizes[path])
        return gone

    def release(self) -> None:
        """Let another process record into the folder."""
        self._lock.close()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ArchiveError(
                f"camera {self.stream}: another process records into {self.folder}; "
                "end it, or give this camera another name or spool"
            ) from error


def finished_segments(folder: Path) -> Iterator[tuple[Path, Segment]]:
    """The finished segments of one stream's folder with their video files, oldest first.

    A damaged row raises ArchiveError when its turn comes; see `finished_rows`.
    """
    for row in finished_rows(folder):
        yield row.with_suffix(".mkv"), from_json(row.read_bytes(), str(row))


def finished_rows(folder: Path) -> list[Path]:
    """The row files of one stream's folder, oldest first."""
    return sorted(folder.glob("*Z-*.json"))


def row_path(segment_path: Path) -> Path:
    """Where the row of a finished segment's file stands."""
    return segment_path.with_suffix(".json")


def remove_segment(path: Path) -> None:
    """Delete a finished segment and then its row; either may be gone already."""
    path.unlink(missing_ok=True)
    row_path(path).unlink(missing_ok=True)


@contextmanager
def _synced_row(folder: Path, segment: Segment) -> Iterator[Path]:
    """The row on the platter under a name nobody looks for, so that a full disk is met before
    anything is renamed.
    """
    row = folder / ".row"
    try:
        with row.open("wb") as file:
            file.write(to_json(segment))
            file.flush()
            os.fsync(file.fileno())
        yield row
    finally:
        row.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_and_hash(part: Path) -> tuple[str, int]:
    with part.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), part.stat().st_size
