"""Upload of finished segments from the spool to the store.

Order for each segment: put the object, verify it, put its row, delete the local file. Several
segments are uploaded at the same time, oldest first, so that a site of many cameras keeps up.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import structlog
from tenacity import Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from codecsight.archive.errors import ArchiveError, DamagedFileError, RowError
from codecsight.archive.segment import Segment, from_json, row_key, to_json
from codecsight.archive.spool import (
    DAMAGED,
    damaged_rows,
    finished_rows,
    remove_segment,
    set_aside,
)
from codecsight.archive.store import ObjectStore
from codecsight.archive.upload.ownership import Ownership
from codecsight.archive.upload.postponement import Postponement
from codecsight.logs import FailureLog

log = structlog.get_logger()

POLL_S = 1.0
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
PARALLEL = 4
"""Segments uploaded at the same time: most of an upload is waiting for the store."""
UPLOAD_S = 300.0
"""Longest wait for one of the running uploads; the store's own timeouts are shorter."""
_MAX_FAILURES = 2  # in a pass without any success: the store fails, not one segment


@dataclass(slots=True)
class UploadStats:
    """Counters of an Uploader. `queued` is the number of segments waiting in the spool.

    `failed` counts upload attempts. `verified` and `unverified` count objects read back with the
    right and the wrong checksum. `damaged` are the segments in the spool whose row or content is
    not what was recorded, or can't be read: they are set aside, for an operator. `postponed` are
    those of `queued` that the store refuses while it accepts others. `lost` counts segments that
    the spool's limit removed before their upload. `last_error` is empty after a pass without
    errors.
    """

    uploaded: int = 0
    uploaded_bytes: int = 0
    queued: int = 0
    queued_bytes: int = 0
    failed: int = 0
    verified: int = 0
    unverified: int = 0
    damaged: int = 0
    postponed: int = 0
    lost: int = 0
    last_error: str = ""


class Uploader:
    """Moves the finished segments of every stream in `spool` to `store`.

    It may be killed at any moment: every step is idempotent, a row is written only after its
    object, and a local file is deleted only after its row is stored.
    """

    def __init__(self, spool: Path, store: ObjectStore) -> None:
        self.stats = UploadStats()
        self._spool = spool
        self._store = store
        self._failures = FailureLog("upload", archive=store.name)
        self._postponed = Postponement()
        self._ownership = Ownership(spool, store)
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="upload")

    def run(self, stop: threading.Event) -> None:
        """Upload until `stop`; while the store fails, retry with exponential back-off."""
        retrying = Retrying(
            retry=retry_if_exception_type(ArchiveError),
            wait=wait_exponential_jitter(initial=RETRY_FIRST_S, max=RETRY_MAX_S),
            sleep=sleep_using_event(stop),
            stop=stop_when_event_set(stop),
            retry_error_callback=lambda _: None,
        )
        while not stop.wait(POLL_S):
            retrying(self.run_once)

    def run_once(self, until: float = float("inf")) -> int:
        """Upload the segments that are finished now, oldest first; return how many. None is begun
        after `until` (time.monotonic()).

        Raises ArchiveError if the store accepts none. Where it accepts others, a segment's own
        error is counted, and that segment is tried again later and later.
        """
        rows = self._rows()
        self._count_queue(rows)
        before = self.stats.uploaded
        errors = self._upload_all(self._postponed.due(rows, time.monotonic()), until)
        uploaded = self.stats.uploaded - before
        if uploaded:
            self._postponed.failed(errors, time.monotonic())
        self._count_queue(self._rows())
        for error in errors.values():
            self._count_failure(error, postponed=bool(uploaded))
        if errors and not uploaded:
            raise next(iter(errors.values()))
        if not errors and not self.stats.postponed:
            self.stats.last_error = ""
        if uploaded or not errors:
            self._failures.recovered()
        return uploaded

    def verify(self, segment: Segment) -> bool:
        """Read a segment back from the store and compare its checksum with the row's."""
        same = self._store.sha256(segment.key) == segment.sha256
        self.stats.verified += same
        self.stats.unverified += not same
        return same

    def _upload_all(self, rows: list[Path], until: float) -> dict[Path, ArchiveError]:
        """Upload rows, PARALLEL at a time; returns the errors. Ends early if the store fails."""
        errors: dict[Path, ArchiveError] = {}
        running: dict[Future[Segment | None], Path] = {}
        waiting, uploaded = iter(rows), 0
        while True:
            failing = len(errors) >= _MAX_FAILURES and not uploaded
            while len(running) < PARALLEL and not failing and time.monotonic() < until:
                if (row := next(waiting, None)) is None:
                    break
                running[self._pool.submit(self._process, row)] = row
            if not running:
                return errors
            done, _ = wait(running, UPLOAD_S, FIRST_COMPLETED)
            if not done:
                raise ArchiveError(f"{self._store.name}: no upload ended within {UPLOAD_S:g} s")
            for future in done:
                row = running.pop(future)
                try:
                    uploaded += self._count_upload(future.result())
                except ArchiveError as error:
                    errors[row] = error

    def _process(self, row: Path) -> Segment | None:
        """Upload a row's segment; None if there is none, or if it was set aside."""
        try:
            segment = from_json(row.read_bytes(), str(row))
            self._upload(row.with_suffix(".mkv"), segment)
        except FileNotFoundError:
            self._remove_orphan_row(row)
        except RowError as error:
            # At its next start the recorder writes a new row for the video, from its content.
            row.replace(row.with_name(row.name + DAMAGED))
            log.error("damaged row set aside", error=str(error))
        except DamagedFileError as error:
            video = set_aside(row)
            log.error("damaged segment set aside", file=str(video), error=str(error))
        except OSError as error:  # of the spool's own disk
            raise ArchiveError(f"{row}: {error.strerror or error}") from error
        else:
            return segment
        return None

    def _upload(self, video: Path, segment: Segment) -> None:
        if not video.exists():
            raise FileNotFoundError(video)
        self._ownership.claim(segment.stream)
        if self._store.size(segment.key) != segment.bytes:
            self._store.put_file(segment.key, video, segment.sha256)
        self._store.put_bytes(row_key(segment), to_json(segment))
        remove_segment(video)
        log.debug("segment archived", key=segment.key, bytes=segment.bytes)

    def _remove_orphan_row(self, row: Path) -> None:
        """Remove a row whose video is missing: it was uploaded by a process killed before it
        deleted the row, or the recorder discarded it for the spool's limit (counted as lost).
        """
        if not row.exists():
            return
        segment = from_json(row.read_bytes(), str(row))
        if self._store.size(row_key(segment)) is None:
            self.stats.lost += 1
            log.warning("segment discarded before its upload", key=segment.key)
        row.unlink(missing_ok=True)

    def _count_upload(self, segment: Segment | None) -> int:
        if segment is None:
            return 0
        self.stats.uploaded += 1
        self.stats.uploaded_bytes += segment.bytes
        return 1

    def _count_failure(self, error: ArchiveError, *, postponed: bool) -> None:
        self.stats.failed += 1
        self.stats.last_error = str(error)
        if postponed:
            log.error("segment postponed; others are archived", error=str(error))
        else:
            self._failures.failed(str(error))

    def _rows(self) -> list[Path]:
        return sorted(self._all_rows(), key=lambda row: row.name)

    def _all_rows(self) -> Iterator[Path]:
        for folder in self._spool.glob("*/"):
            yield from finished_rows(folder)

    def _count_queue(self, rows: list[Path]) -> None:
        videos = [row.with_suffix(".mkv") for row in rows]
        self.stats.queued = len(rows)
        self.stats.queued_bytes = sum(_size(video) for video in videos)
        self.stats.damaged = sum(len(damaged_rows(folder)) for folder in self._spool.glob("*/"))
        self.stats.postponed = self._postponed.count(rows)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
