"""Termination of all processes of a run, found by a variable in their environment."""

import contextlib
import os
import time
from collections.abc import Callable

import psutil

RUN_MARKER = "CODECSIGHT_RUN"
"""Environment variable that every process of one run inherits, to find those left over."""


def terminate_marked(marker: str, variable: str = RUN_MARKER, timeout_s: float = 5.0) -> int:
    """Terminate every process with `marker` in its environment, except this one.

    Sends SIGTERM, then SIGKILL after `timeout_s`. Returns their number: 0 after a clean shutdown.
    """
    processes = marked_processes(marker, variable)
    for process in processes:
        _ignore_missing(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    for process in alive:
        _ignore_missing(process.kill)
    psutil.wait_procs(alive, timeout=timeout_s)
    return len(processes)


def wait_for_marked_exit(marker: str, timeout_s: float) -> bool:
    """Wait for every process with `marker` to end; False if some still run after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while marked_processes(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def marked_processes(marker: str, variable: str = RUN_MARKER) -> list[psutil.Process]:
    """The processes with `marker` in their environment, except this one."""
    entry = (variable, marker)
    own = os.getpid()
    return [p for p in psutil.process_iter() if p.pid != own and entry in _environment(p).items()]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except psutil.Error:
        return {}


def _ignore_missing(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
