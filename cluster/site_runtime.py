"""An edge site: recording processes, and a worker process that holds Ray and the actors.

Recording starts first and stops last. The worker process is restarted if Ray fails; the recording
processes are not affected.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cluster.folders import keep_files_private, temporary_folder
from cluster.ray_worker import Report, parse_report, ray_launch
from cluster.recorders import recorder_name, recorder_specs
from cluster.supervision.process_spec import ProcessSpec, StopBy
from cluster.supervision.restart_policy import RestartPolicy
from cluster.supervision.supervisor import Supervisor
from codecsight.config import SiteConfig

POLL_S = 0.2
MAX_REPORT_AGE_S = 5.0
EMPTY_REPORT_S = 2.0
WORKER = "site-worker"
WORKER_START_TIMEOUT_S = 300.0
WORKER_SILENCE_S = 60.0
WORKER_FROZEN_S = 10.0
WORKER_STOP_TIMEOUT_S = 50.0
WORKER_POLICY = RestartPolicy(first_delay_s=2.0)

OnReport = Callable[[Report], None]
"""Callback with the site's state every few seconds:

`recorders`   by camera: CaptureStatus of its recording process, from the first second on
`processes`   by name: ProcessStatus
`cameras`     by camera: CameraStats; empty until the worker has started, and while it is down
`uplinks`     by stream: LinkStatus; likewise
`archive`     UploadStats, or None; likewise
`time`        Unix time
"""


def run_site(
    config: SiteConfig, stop: threading.Event, on_report: OnReport, *, dashboard: bool = False
) -> None:
    """Run until `stop`, with Ray's `dashboard` or without. If Ray fails, recording continues and
    Ray is restarted.

    Raises ConfigError before anything is started if a secret or a key file can't be read.
    """
    config.read_secrets()
    keep_files_private()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    recorders = _RecorderStatus()
    with temporary_folder("cs-feeds-") as feeds, Supervisor() as supervisor:
        supervisor.start(*recorder_specs(config, feeds, recorders.receive))
        supervisor.start(worker_spec(config, feeds, lines.put, dashboard=dashboard))

        def complete(report: Report) -> None:
            processes = {status.name: asdict(status) for status in supervisor.status()}
            on_report({**report, "recorders": recorders.latest(), "processes": processes})

        _forward_reports(lines, stop, complete)
        # First the recorders: the segments that they finish now are still archived.
        supervisor.stop(*map(recorder_name, config.cameras))


class _RecorderStatus:
    """The newest status of each recording process, received on the supervisor's threads."""

    def __init__(self) -> None:
        self._latest: dict[str, Report] = {}

    def receive(self, camera: str, line: bytes) -> None:
        """Store a camera's status, a line of JSON."""
        if (status := parse_report(line)) is not None:
            self._latest[camera] = status

    def latest(self) -> dict[str, Report]:
        """The newest status by camera."""
        return dict(self._latest)


def worker_spec(
    config: SiteConfig, feeds: Path, on_line: Callable[[bytes], None], *, dashboard: bool
) -> ProcessSpec:
    """The process that runs the site's Ray and actors (see `cluster.site_worker`).

    `feeds` is the folder of the recorders' sockets.
    """
    site = config.model_dump(mode="json")
    keys = config.archive.s3_keys()
    # Through standard input: all of Ray's processes inherit this one's environment.
    settings = {
        "site": site,
        "feeds": str(feeds),
        "dashboard": dashboard,
        "s3_keys": [keys.access_key, keys.secret_key] if keys else None,
    }
    return ProcessSpec(
        name=WORKER,
        command=(sys.executable, "-m", "cluster.site_worker"),
        withheld=config.secret_variables(),
        prepare=partial(ray_launch, "cs-site-", settings),
        on_line=on_line,
        start_timeout_s=WORKER_START_TIMEOUT_S,
        silence_s=WORKER_SILENCE_S,
        frozen_s=WORKER_FROZEN_S,
        policy=WORKER_POLICY,
        stop_by=StopBy.STDIN_EOF,
        stop_timeout_s=WORKER_STOP_TIMEOUT_S,
    )


def _forward_reports(
    lines: "queue.SimpleQueue[bytes]", stop: threading.Event, on_report: OnReport
) -> None:
    """Pass the worker's reports to `on_report` until `stop`. Before the first one, and when they
    cease, the report is empty but comes as often.
    """
    due = 0.0
    while not stop.is_set():
        try:
            report = parse_report(lines.get(timeout=POLL_S))
        except queue.Empty:
            report = None
        if report is None and time.monotonic() > due:
            report = {"time": time.time(), "cameras": {}, "uplinks": {}, "archive": None}
            due = time.monotonic() + EMPTY_REPORT_S
        elif report is not None:
            due = time.monotonic() + MAX_REPORT_AGE_S
        if report is not None:
            on_report(report)
