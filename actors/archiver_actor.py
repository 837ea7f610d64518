"""`archiver:SITE`: moves finished segments from the site's disk into its archive."""

import threading
from dataclasses import replace
from pathlib import Path

import structlog

from codecsight.archive.store_factory import open_store
from codecsight.archive.uploader import Uploader, UploadStats
from codecsight.config.shared_sections import ArchiveConfig
from codecsight.core.errors import CodecSightError

log = structlog.get_logger()

RETRY_S = 10.0


class ArchiverActor:
    """Runs an Uploader in a thread. It keeps nothing in memory that the spool does not hold, so it
    may die and come back at any moment. A store that can't be opened yet is tried again.
    """

    def __init__(self, spool: Path, config: ArchiveConfig) -> None:
        self._spool = spool
        self._config = config
        self._stats = UploadStats()
        self._uploader: Uploader | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archiver", daemon=True)
        self._thread.start()

    def stats(self) -> UploadStats:
        """What went up and what waits."""
        return replace(self._uploader.stats if self._uploader else self._stats)

    def drain(self) -> UploadStats:
        """Stop the endless run and upload what is finished now; what fails stays in the spool."""
        self._stop.set()
        self._thread.join()
        if self._uploader is not None:
            try:
                self._uploader.run_once()
            except CodecSightError as error:
                self._uploader.stats.last_error = str(error)
        return self.stats()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._uploader = self._uploader or self._open()
                self._uploader.run(self._stop)
            except CodecSightError as error:
                self._wait(str(error))
            except Exception as error:
                log.exception("archiving failed; it begins anew")
                self._wait(f"{type(error).__name__}: {error}")

    def _open(self) -> Uploader:
        return Uploader(self._spool, open_store(self._config.url, self._config.s3_keys()))

    def _wait(self, trouble: str) -> None:
        stats = self._uploader.stats if self._uploader else self._stats
        if trouble != stats.last_error:
            log.error("archiving waits", reason=trouble)
        stats.last_error = trouble
        self._stop.wait(RETRY_S)
