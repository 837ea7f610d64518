"""`archiver:SITE`: the Ray actor that uploads finished segments from the site's spool."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import structlog

from actors.deadlines import DRAIN_S, UPLOAD_STOP_S
from codecsight.archive.store_factory import open_store
from codecsight.archive.upload.uploader import Uploader, UploadStats
from codecsight.core.errors import CodecSightError
from codecsight.core.urls.credentials import S3Keys
from codecsight.logs import FailureLog, configure_logs

log = structlog.get_logger()

RETRY_S = 10.0


class ArchiverActor:
    """Runs an Uploader in a thread, and opens the store again after a failure.

    All state is in the spool on disk, so the actor may be restarted at any time.
    """

    def __init__(self, spool: Path, url: str, keys: S3Keys | None) -> None:
        configure_logs("archiver")
        self._spool = spool
        self._url, self._keys = url, keys
        self._stats = UploadStats()
        self._uploader: Uploader | None = None
        self._failures = FailureLog("archive")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archiver", daemon=True)
        self._thread.start()

    def stats(self) -> UploadStats:
        """Counters of uploaded and queued segments."""
        return replace(self._uploader.stats if self._uploader else self._stats)

    def drain(self) -> UploadStats:
        """Stop the thread and upload the segments finished so far. Failures stay in the spool."""
        self._stop.set()
        self._thread.join(UPLOAD_STOP_S)
        if self._uploader is not None and not self._thread.is_alive():
            try:
                self._uploader.run_once(time.monotonic() + DRAIN_S)
            except CodecSightError as error:
                self._uploader.stats.last_error = str(error)
        return self.stats()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._uploader = self._uploader or self._open()
                self._failures.recovered()
                self._uploader.run(self._stop)
            except CodecSightError as error:
                self._wait(str(error))
            except Exception as error:
                log.exception("archiver failed; restarting it")
                self._wait(f"{type(error).__name__}: {error}")

    def _open(self) -> Uploader:
        return Uploader(self._spool, open_store(self._url, self._keys))

    def _wait(self, reason: str) -> None:
        stats = self._uploader.stats if self._uploader else self._stats
        self._failures.failed(reason)
        stats.last_error = reason
        self._stop.wait(RETRY_S)
