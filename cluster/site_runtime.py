"""A site: recording processes first, then Ray with its actors, and back again in reverse."""

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

AGAIN_S = 5.0
GLANCE_S = 0.2
END_S = 50.0

OnReport = Callable[[dict[str, Any]], None]
"""Takes the site's state every few seconds: `time`, `cameras` by name, `archive`."""


def run_site(config: SiteConfig, stop: threading.Event, on_report: OnReport) -> None:
    """Run until `stop`. Whatever happens to Ray, recording goes on and Ray is started again.

    Raises ConfigError before anything is started if a secret or a key can't be read.
    """
    config.read_secrets()
    with temporary_folder("cs-feeds-") as feeds:
        captures = RecorderSupervisor(config, feeds)
        try:
            while not stop.is_set():
                with (
                    temporary_folder("cs-site-") as folder,
                    SiteWorker(config, feeds, folder) as analysis,
                ):
                    analysis.follow(stop, on_report)
                    if stop.is_set():
                        captures.stop()  # first: what they finish now is still archived
                if not stop.is_set():
                    log.error("analysis ended; recording goes on", again_in_s=AGAIN_S)
                    stop.wait(AGAIN_S)
        finally:
            captures.stop()


class SiteWorker:
    """The process that holds a site's Ray (see `cluster.site_worker`), and all that comes from it.
    `folder` is for Ray's own files.
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
        self._say(json.dumps(settings) + "\n")
        threading.Thread(target=self._read, name="analysis", daemon=True).start()

    def follow(self, stop: threading.Event, on_report: OnReport) -> None:
        """Pass its reports on until `stop`, or until it ends by itself."""
        while not stop.is_set():
            try:
                report = self._reports.get(timeout=GLANCE_S)
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
        """Let it send and upload what waits, then end it and whatever it has left."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            log.error("analysis did not end in time")
            self._process.kill()
            self._process.wait()
        terminate_marked(self._marker, RAY_MARKER)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which `follow` tells
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            self._reports.put(json.loads(line))
        self._reports.put(None)
