"""The recording processes of a site: one for each camera, started first and stopped last."""

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

PATIENCE_S = 8.0
MOST_PAUSE_S = 60.0
_ENDED = 0


def feed_path(feeds: Path, camera: str) -> Path:
    """The socket at which a camera's recording process feeds its packets on."""
    return feeds / f"{camera}.sock"


@dataclass(slots=True)
class _Running:
    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    start_at: float = 0.0
    started: float = 0.0
    ended: bool = field(default=False)


class RecorderSupervisor:
    """Keeps a recording process alive for every camera, whatever Ray and the network do.

    One that fails is started again after pauses that grow (1 s to 60 s) unless it ran well for a
    while; one whose source has ended
    (a file that is not looped) is not.
    """

    def __init__(self, config: SiteConfig, feeds: Path) -> None:
        self._feeds = feeds
        self._limit = config.spool_limit_mb * 2**20 // len(config.cameras)
        self._config = config
        self._stop = threading.Event()
        self._running = [self._prepare(name, camera) for name, camera in config.cameras.items()]
        self._thread = threading.Thread(target=self._keep_alive, name="captures")
        self._thread.start()

    def stop(self) -> None:
        """End all of them; the segments they were writing are finished first."""
        self._stop.set()
        self._thread.join()
        alive = [r.process for r in self._running if r.process and r.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _prepare(self, name: str, camera: CameraConfig) -> _Running:
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
        # By environment, since anybody on the machine may read another's command line.
        environment = {**os.environ, "CODECSIGHT_SOURCE": camera.source_url(name)}
        return _Running(name, command, environment)

    def _keep_alive(self) -> None:
        while not self._stop.is_set():
            for running in self._running:
                self._look_after(running)
            self._stop.wait(0.2)

    def _look_after(self, running: _Running) -> None:
        process = running.process
        if process is not None and (code := process.poll()) is not None:
            running.process = None
            running.ended = code == _ENDED
            if not running.ended:
                if time.monotonic() - running.started > MOST_PAUSE_S:
                    running.failures = 0
                pause = min(MOST_PAUSE_S, 2.0**running.failures)
                running.failures += 1
                running.start_at = time.monotonic() + pause
                log.error("recording ended", camera=running.name, exit=code, again_in_s=pause)
        if running.process is None and not running.ended and time.monotonic() >= running.start_at:
            running.started = time.monotonic()
            running.process = subprocess.Popen(
                running.command, env=running.environment, stdin=subprocess.PIPE
            )
