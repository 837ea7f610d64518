"""An edge site: recording processes, and a worker process that holds Ray and the actors.

Recording starts first and stops last. The worker process is restarted if Ray fails; the recording
processes are not affected.
"""

import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from cluster.folders import temporary_folder
from cluster.private_ray import RAY_MARKER
from cluster.processes import terminate_marked
from cluster.recorder_supervisor import RecorderSupervisor
from codecsight.config import SiteConfig

log = structlog.get_logger()

RESTART_DELAY_S = 5.0
POLL_S = 0.2
STOP_TIMEOUT_S = 50.0

OnReport = Callable[[dict[str, Any]], None]
"""Callback with the site's state every few seconds: `time`, `cameras` by name, `archive`."""


def run_site(config: SiteConfig, stop: threading.Event, on_report: OnReport) -> None:
    """Run until `stop`. If Ray fails, recording continues and Ray is restarted.

    Raises ConfigError before anything is started if a secret or a key file can't be read.
    """
    config.read_secrets()
    with temporary_folder("cs-feeds-") as feeds:
        recorders = RecorderSupervisor(config, feeds)
        try:
            while not stop.is_set():
                with (
                    temporary_folder("cs-site-") as folder,
                    SiteWorker(config, feeds, folder) as worker,
                ):
                    worker.forward_reports(stop, on_report)
                    if stop.is_set():
                        recorders.stop()  # first: the segments they finish now are still archived
                if not stop.is_set():
                    log.error("site worker ended; recording continues", retry_in_s=RESTART_DELAY_S)
                    stop.wait(RESTART_DELAY_S)
        finally:
            recorders.stop()


class SiteWorker:
    """The child process that runs a site's Ray and actors (see `cluster.site_worker`).

    `feeds` is the folder of the recorders' sockets; `folder` holds Ray's files.
    """

    def __init__(self, config: SiteConfig, feeds: Path, folder: Path) -> None:
        self._marker = secrets.token_hex(8)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cluster.site_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, RAY_MARKER: self._marker},
            start_new_session=True,
        )
        self._reports: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        settings = {
            "site": config.model_dump(mode="json"),
            "feeds": str(feeds),
            "folder": str(folder),
        }
        self._send(json.dumps(settings) + "\n")
        threading.Thread(target=self._read, name="site-worker", daemon=True).start()

    def forward_reports(self, stop: threading.Event, on_report: OnReport) -> None:
        """Pass its reports to `on_report` until `stop` is set or the process ends."""
        while not stop.is_set():
            try:
                report = self._reports.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if report is None:
                return
            on_report(report)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process after it has sent and uploaded its queues; kill what it leaves."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()  # requests an orderly end
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.error("site worker did not end in time")
            self._process.kill()
            self._process.wait()
        terminate_marked(self._marker, RAY_MARKER)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened with PIPE
        with contextlib.suppress(BrokenPipeError):  # already ended, which forward_reports detects
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened with PIPE
        for line in self._process.stdout:
            self._reports.put(json.loads(line))
        self._reports.put(None)
