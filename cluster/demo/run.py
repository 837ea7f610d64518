"""The demo run: start a cloud and a site, poll them, stop them, and summarise."""

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from actors.rpc.control_client import ControlClient, ControlError
from actors.rpc.transport import load_tls_files
from cluster.demo.display import Display, display, show_summary
from cluster.demo.ground_truth import score_answers
from cluster.demo.plan import SITE, WORLD_STREAMS, ArchivePlan, DemoPlan, make_plan
from cluster.demo.rtsp_camera import rtsp_camera
from cluster.demo.startup import (
    CLOUD_RAY,
    COMPILED,
    MODEL,
    SITE_RAY,
    STALL_S,
    StartUp,
    connected,
    first_answer,
    steps_of,
)
from cluster.demo.summary import ArchiveCheck, DemoMetrics, summarise
from cluster.folders import temporary_folder
from cluster.s3_server import S3Server
from cluster.supervision.marked_processes import (
    RUN_MARKER,
    terminate_marked,
    wait_for_marked_exit,
)
from cluster.supervision.process_spec import ProcessSpec, log_tail
from cluster.supervision.restart_policy import NEVER_RESTART
from cluster.supervision.supervisor import Supervisor
from codecsight.archive.index import Index
from codecsight.archive.store_factory import open_store
from codecsight.config.site_config import stream_name
from codecsight.core.errors import CodecSightError
from codecsight.core.urls.credentials import S3Keys

STOP_TIMEOUT_S = 60.0
POLL_S = 1.0
MARGIN_S = 240.0  # the gate's recording must last longer than start and run


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of a demo run.

    `seconds` count from the time when every camera has its first answer. `folder` None means a
    temporary folder, `model` None the built-in checkpoint.
    """

    seconds: float = 60.0
    s3: bool = False
    folder: Path | None = None
    model: str | None = None


class DemoError(CodecSightError):
    """The demo did not start, or one of its processes ended early."""


def run_demo(options: DemoOptions, stop: threading.Event, *, as_json: bool) -> dict[str, Any]:
    """Run the demo, at most until `stop` is set; print and return its summary.

    Raises DemoError with the end of the log of the process that failed.
    """
    console = Console(stderr=as_json)
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(options.folder))
        marker = secrets.token_hex(8)
        os.environ[RUN_MARKER] = marker
        stack.callback(terminate_marked, marker)
        summary = _Demo(options, folder, console, marker, stop).run()
    if stop.is_set() and not summary["answers"]:
        console.print("[yellow]stopped before the first answers; everything has ended[/]")
        return summary
    if stop.is_set():
        console.print("[yellow]stopped early[/]")
    if not as_json:
        show_summary(console, summary)
    return summary


class _Demo:
    def __init__(
        self,
        options: DemoOptions,
        folder: Path,
        console: Console,
        marker: str,
        stop: threading.Event,
    ) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._marker = marker
        self._stop = stop
        self._metrics = DemoMetrics()

    def run(self) -> dict[str, Any]:
        """Run all parts in order, and stop them in reverse order."""
        with ExitStack() as stack:
            archive = stack.enter_context(_archive(self._folder, s3=self._options.s3))
            camera = stack.enter_context(
                rtsp_camera(self._folder, self._options.seconds + MARGIN_S)
            )
            plan = make_plan(self._folder, archive, camera, self._options.model)
            elapsed = self._run_processes(plan)
            archived = read_back(plan)
        clean = wait_for_marked_exit(self._marker, timeout_s=5.0)
        left_over = 0 if clean else terminate_marked(self._marker)
        scores = score_answers(self._metrics.answers.values(), WORLD_STREAMS)
        return summarise(self._metrics, archived, scores, elapsed, left_over)

    def _run_processes(self, plan: DemoPlan) -> float:
        """Run cloud and site; return the seconds since all cameras had answers."""
        if self._stop.is_set():
            return 0.0
        elapsed, seconds = 0.0, self._options.seconds
        keys = load_tls_files(plan.ca, plan.client.cert, plan.client.key)
        with Supervisor() as supervisor:
            supervisor.start(*(self._spec(role, file) for role, file in plan.roles))
            try:
                with ControlClient(plan.address, keys) as client, display(self._console) as show:
                    start = self._until_answering(client, supervisor, plan, show)
                    while not self._stop.wait(POLL_S) and elapsed < seconds:
                        elapsed = time.monotonic() - start
                        self._poll(client, supervisor)
                        show.watching(elapsed, seconds, self._metrics)
            finally:
                self._console.print("stopping the site, then the cloud")
                for role, _ in reversed(plan.roles):
                    supervisor.stop(role)
        return elapsed

    def _spec(self, role: str, config: Path) -> ProcessSpec:
        return ProcessSpec(
            name=role,
            command=(sys.executable, "-m", "codecsight", role, "--config", str(config)),
            environment={"OMP_NUM_THREADS": "1"},
            log=self._log(role),
            policy=NEVER_RESTART,
            stop_timeout_s=STOP_TIMEOUT_S,
        )

    def _log(self, role: str) -> Path:
        return self._folder / f"{role}.log"

    def _until_answering(
        self, client: ControlClient, supervisor: Supervisor, plan: DemoPlan, show: Display
    ) -> float:
        """Wait until every camera has an answer, however long, while there is progress.

        Cameras that stall are left out if others have answers. Raises DemoError if none has.
        """
        start = StartUp(steps_of(stream_name(SITE, name) for name in plan.cameras))
        while start.waiting and not self._stop.is_set():
            self._poll(client, supervisor)
            show.starting(start, start.mark(self._ended_steps()), self._metrics)
            if start.stalled:
                self._tell_stall(start, plan)
                break
            self._stop.wait(POLL_S)
        return time.monotonic()

    def _tell_stall(self, start: StartUp, plan: DemoPlan) -> None:
        missing = ", ".join(start.waiting)
        text = f"nothing new for {STALL_S / 60:.0f} minutes while waiting for: {missing}"
        if not self._metrics.answers:
            raise DemoError(f"{text}\n{self._tails(*(role for role, _ in plan.roles))}")
        self._console.print(f"[yellow]{text}; going on without[/]")

    def _ended_steps(self) -> Iterator[str]:
        """The steps of the start that have ended, from the logs and from the cloud's replies."""
        cloud, site = (self._log(role) for role in ("cloud", "site"))
        found = {
            COMPILED: _has_logged(site, "image code compiled"),
            CLOUD_RAY: _has_logged(cloud, "dashboard="),
            MODEL: bool(self._metrics.workers),
            SITE_RAY: _has_logged(site, "dashboard="),
        }
        yield from (step for step, ended in found.items() if ended)
        yield from map(connected, self._metrics.cameras)
        yield from (first_answer(n) for n, s in self._metrics.streams.items() if s.answers)

    def _poll(self, client: ControlClient, supervisor: Supervisor) -> None:
        """Add what the cloud reports. Raises DemoError if a process has ended."""
        dead = [status for status in supervisor.status() if not status.running]
        if dead and not self._stop.is_set():
            name, reason = dead[0].name, dead[0].reason
            tails = self._tails(*(status.name for status in dead))
            raise DemoError(f"the {name} ended early ({reason})\n{tails}")
        with suppress(ControlError):  # the cloud is still starting
            self._metrics.add(client.streams(), client.status().workers)

    def _tails(self, *roles: str) -> str:
        logs = map(self._log, roles)
        return "\n".join(f"--- end of {log}\n{log_tail(log)}" for log in logs)


def _has_logged(log: Path, text: str) -> bool:
    with suppress(FileNotFoundError):
        return text in log.read_text(encoding="utf-8", errors="replace")
    return False


def read_back(plan: DemoPlan) -> ArchiveCheck:
    """Read every archived segment back and compare it with the checksum in its row."""
    keys = [os.environ[name] for name in plan.archive.environment]
    store = open_store(plan.archive.url, S3Keys(*keys) if keys else None)
    index = Index(store)
    rows = [
        row
        for stream in index.streams()
        for row in index.between(stream, 0.0, time.time() + 1).segments
    ]
    verified = sum(store.sha256(row.key) == row.sha256 for row in rows)
    return ArchiveCheck(len(rows), verified, sum(row.bytes for row in rows))


@contextmanager
def _folder(path: Path | None) -> Iterator[Path]:
    """The given folder, which must be empty and is kept, or a temporary one."""
    if path is not None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            not_empty = any(path.iterdir())
        except OSError as error:
            raise DemoError(f"{path}: can't be used as a folder: {error.strerror}") from error
        if not_empty:
            raise DemoError(f"{path} is not empty; choose another folder with --dir")
        yield path.absolute()
        return
    with temporary_folder("codecsight-demo-") as folder:
        yield folder


@contextmanager
def _archive(folder: Path, *, s3: bool) -> Iterator[ArchivePlan]:
    if not s3:
        yield ArchivePlan(f"dir:{folder / 'archive'}", {})
        return
    with S3Server(folder / "s3") as server:
        environment = {
            "CODECSIGHT_ACCESS_KEY": server.keys.access_key,
            "CODECSIGHT_SECRET_KEY": server.keys.secret_key,
        }
        os.environ.update(environment)
        yield ArchivePlan(server.url, environment)
