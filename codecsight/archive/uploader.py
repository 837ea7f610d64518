"""Upload of finished segments from the spool to the store.

Order for each segment: put the object, verify it, put its row, delete the local file.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from tenacity import Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from codecsight.archive.errors import ArchiveError, ChecksumError, RowError
from codecsight.archive.segment import Segment, from_json, row_key, to_json
from codecsight.archive.spool import finished_rows, remove_segment
from codecsight.archive.store import ObjectStore
from codecsight.logs import FailureLog

log = structlog.get_logger()

POLL_S = 1.0
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
_MAX_FAILURES = 2  # in one pass: two mean that the store fails, not one segment


@dataclass(slots=True)
class UploadStats:
    """Counters of an Uploader. `queued` is the number of segments waiting in the spool.

    `failed` counts upload attempts. `verified` and `unverified` count objects read back with the
    right and the wrong checksum. `damaged` counts segments whose row or content is not what was
    recorded (they stay in the spool). `lost` counts segments that the spool's limit removed before
    their upload. `last_error` is empty after a pass without errors.
    """

    uploaded: int = 0
    uploaded_bytes: int = 0
    queued: int = 0
    queued_bytes: int = 0
    failed: int = 0
    verified: int = 0
    unverified: int = 0
    damaged: int = 0
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

    def run(self, stop: threading.Event) -> None:
        """Upload until `stop`; after an error, retry with exponential back-off."""
        retrying = Retrying(
            retry=retry_if_exception_type(ArchiveError),
            wait=wait_exponential_jitter(initial=RETRY_FIRST_S, max=RETRY_MAX_S),
            sleep=sleep_using_event(stop),
            stop=stop_when_event_set(stop),
            retry_error_callback=lambda _: None,
        )
        while not stop.wait(POLL_S):
            retrying(self.run_once)

    def run_once(self) -> int:
        """Upload the segments that are finished now, oldest first; return how many.

        An error of one segment does not stop the others: it is raised at the end (ArchiveError).
        """
        rows = self._rows()
        self._count_queue(rows)
        before = self.stats.uploaded
        errors: list[ArchiveError] = []
        for row in rows:
            try:
                self._process(row)
            except ArchiveError as error:
                errors.append(error)
                self._count_failure(error)
            if len(errors) == _MAX_FAILURES:
                break
        self._count_queue(self._rows())
        if errors:
            raise errors[0]
        self.stats.last_error = ""
        self._failures.recovered()
        return self.stats.uploaded - before

    def verify(self, segment: Segment) -> bool:
        """Read a segment back from the store and compare its checksum with the row's."""
        same = self._store.sha256(segment.key) == segment.sha256
        self.stats.verified += same
        self.stats.unverified += not same
        return same

    def _process(self, row: Path) -> None:
        try:
            segment = from_json(row.read_bytes(), str(row))
            self._upload(row.with_suffix(".mkv"), segment)
        except FileNotFoundError:
            self._remove_orphan_row(row)
        except (RowError, ChecksumError) as error:
            # Set the row aside: at its next start the recorder writes a new one for the video.
            row.replace(row.with_suffix(".json.damaged"))
            self.stats.damaged += 1
            log.error("damaged segment set aside", error=str(error))

    def _upload(self, video: Path, segment: Segment) -> None:
        if not video.exists():
            raise FileNotFoundError(video)
        if self._store.size(segment.key) != segment.bytes:
            self._store.put_file(segment.key, video, segment.sha256)
        self._store.put_bytes(row_key(segment), to_json(segment))
        remove_segment(video)
        self.stats.uploaded += 1
        self.stats.uploaded_bytes += segment.bytes
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

    def _count_failure(self, error: ArchiveError) -> None:
        self.stats.failed += 1
        self.stats.last_error = str(error)
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
