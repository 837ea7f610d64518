"""Supervisor of a site's recording processes: one per camera, started first and stopped last."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from codecsight.config import CameraConfig, SiteConfig
from codecsight.config.site_config import stream_name

log = structlog.get_logger()

STOP_TIMEOUT_S = 8.0
MAX_BACKOFF_S = 60.0
POLL_S = 0.2
_END_OF_SOURCE = 0  # exit code


def feed_path(feeds: Path, camera: str) -> Path:
    """The Unix socket at which a camera's recording process serves its packets."""
    return feeds / f"{camera}.sock"


@dataclass(slots=True)
class _Recorder:
    """One recording process; `start_at` and `started` are monotonic times in seconds."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    start_at: float = 0.0
    started: float = 0.0
    ended: bool = field(default=False)


class RecorderSupervisor:
    """Keep one recording process running per camera, independent of Ray and the network.

    A process that fails is restarted with exponential back-off from 1 s to 60 s, reset once it has
    run for more than 60 s. A process whose source ended (a file that is not looped) is not
    restarted.
    """

    def __init__(self, config: SiteConfig, feeds: Path) -> None:
        self._feeds = feeds
        self._limit = config.spool_limit_mb * 2**20 // len(config.cameras)
        self._config = config
        self._stop = threading.Event()
        self._recorders = [self._prepare(name, camera) for name, camera in config.cameras.items()]
        self._thread = threading.Thread(target=self._keep_alive, name="recorders")
        self._thread.start()

    def stop(self) -> None:
        """Stop all processes; each finishes its current segment first."""
        self._stop.set()
        self._thread.join()
        alive = [r.process for r in self._recorders if r.process and r.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _prepare(self, name: str, camera: CameraConfig) -> _Recorder:
        stream = stream_name(self._config.site, name)
        command = [sys.executable, "-m", "codecsight.video.capture", "--attached"]
        command += ["--stream", stream]
        command += ["--spool", str(self._config.spool), "--feed", str(feed_path(self._feeds, name))]
        command += ["--segment", str(camera.segment_s), "--transport", camera.transport]
        command += ["--spool-limit", str(self._limit)]
        if urlsplit(camera.url).scheme in ("", "file"):
            command.append("--paced")
        if camera.loop:
            command.append("--loop")
        # In the environment, as any user can read a command line, and the URL holds a password.
        environment = {**os.environ, "CODECSIGHT_SOURCE": camera.source_url(name)}
        return _Recorder(name, command, environment)

    def _keep_alive(self) -> None:
        while not self._stop.is_set():
            for recorder in self._recorders:
                self._restart_if_ended(recorder)
            self._stop.wait(POLL_S)

    def _restart_if_ended(self, recorder: _Recorder) -> None:
        if recorder.process is not None and (code := recorder.process.poll()) is not None:
            recorder.process = None
            recorder.ended = code == _END_OF_SOURCE
            if not recorder.ended:
                self._schedule_restart(recorder, code)
        due = time.monotonic() >= recorder.start_at
        if recorder.process is None and not recorder.ended and due:
            recorder.started = time.monotonic()
            # The process ends when this pipe closes (--attached): it never outlives the site.
            recorder.process = subprocess.Popen(
                recorder.command, env=recorder.environment, stdin=subprocess.PIPE
            )

    def _schedule_restart(self, recorder: _Recorder, code: int) -> None:
        if time.monotonic() - recorder.started > MAX_BACKOFF_S:
            recorder.failures = 0
        delay = min(MAX_BACKOFF_S, 2.0**recorder.failures)
        recorder.failures += 1
        recorder.start_at = time.monotonic() + delay
        log.error("recording ended", camera=recorder.name, exit=code, retry_in_s=delay)
