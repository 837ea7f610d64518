"""A child process that holds a private Ray, and the protocol between it and its parent.

When Ray's control store (GCS) fails, Ray kills the process that started it. Site and cloud
therefore run Ray in a child process, which a supervisor restarts. The child reads its settings as
one line of JSON from standard input, and writes reports as lines of JSON to standard output; its
logs go to standard error. It ends in an orderly way when standard input closes.
"""

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from cluster.folders import in_use, temporary_folder
from cluster.private_ray import RAY_MARKER, private_ray
from cluster.supervision.marked_processes import terminate_marked
from cluster.supervision.process_spec import Launch
from codecsight.core.errors import CodecSightError
from codecsight.core.stop_signals import call_on_stop_signals
from codecsight.logs import configure_logs

log = structlog.get_logger()

FAILED_CODE = 1
CONFIG_FAULT_CODE = 2

Report = dict[str, Any]
WriteReport = Callable[[Report], None]


class ConfigFaultError(CodecSightError):
    """A fault that a restart can't repair, such as a port in use or a missing model."""


@contextmanager
def ray_launch(prefix: str, settings: Report) -> Iterator[Launch]:
    """Parent side: the launch of one run, with a new temporary folder for Ray's files.

    At the end terminates what the run has left of its processes, and removes the folder.
    """
    marker = secrets.token_hex(8)
    with temporary_folder(prefix) as folder:
        line = json.dumps({**settings, "folder": str(folder)}) + "\n"
        try:
            yield Launch({RAY_MARKER: marker}, line)
        finally:
            terminate_marked(marker, RAY_MARKER)


def parse_report(line: bytes) -> Report | None:
    """Parent side: a report, or None for a damaged line, as of a child that died while writing."""
    try:
        report = json.loads(line)
    except ValueError:
        report = None
    if isinstance(report, dict):
        return report
    log.warning("damaged report ignored", line=line[:80])
    return None


def run_ray_worker(
    namespace: str, serve: Callable[[Report, threading.Event, WriteReport], None]
) -> None:
    """Child side: start Ray and call `serve` with settings, stop event and report writer; exit.

    The exit code is 0, CONFIG_FAULT_CODE after a ConfigFaultError (reported as `error`), or
    FAILED_CODE after another CodecSightError.
    """
    configure_logs(namespace)
    call_on_stop_signals(lambda: None)  # the parent receives them too and decides
    write = _report_writer()
    settings = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()
    folder = Path(settings["folder"])
    try:
        dashboard = settings.get("dashboard", True)
        with in_use(folder), private_ray(folder, namespace, dashboard=dashboard) as info:
            log.info("ray", dashboard=info.dashboard or "off", token_file=str(info.token_file))
            serve(settings, stop, write)
    except ConfigFaultError as error:
        write({"error": str(error)})
        sys.exit(CONFIG_FAULT_CODE)
    except CodecSightError as error:
        log.error("worker failed", namespace=namespace, error=str(error))
        sys.exit(FAILED_CODE)


def _report_writer() -> WriteReport:
    """Reserve standard output for reports: Ray prints the actors' output there."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def write(report: Report) -> None:
        output.write(json.dumps(report) + "\n")
        output.flush()

    return write


def _wait_for_eof(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()
