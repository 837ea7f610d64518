"""Child processes in process groups, and termination of all their descendants."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

RUN_MARKER = "CODECSIGHT_RUN"
"""Environment variable that every process of one run inherits, to find those left over."""


class ProcessGroup:
    """A program in its own session and process group; its output goes to a log file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also the process group's id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, timeout_s: float) -> int:
        """Send SIGTERM and wait; on timeout send SIGKILL to the group. Returns the exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


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
