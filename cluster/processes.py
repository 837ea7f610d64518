"""Starting our own programs in process groups, and ending all that they started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

RUN_MARKER = "CODECSIGHT_RUN"
"""Environment variable that every process of one run inherits, so that none is left behind."""


class ProcessGroup:
    """One program in a session of its own, with its output in a log file."""

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
        """The process id, which is also the group's."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log, to be shown when it failed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, patience_s: float) -> int:
        """Ask it to end (SIGTERM), wait, then end it and its group; returns the exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def terminate_marked(marker: str, variable: str = RUN_MARKER, patience_s: float = 5.0) -> int:
    """End every process that carries `marker` in its environment, this one excepted.

    Returns how many had to be ended: 0 after a clean shutdown.
    """
    left = marked_processes(marker, variable)
    for process in left:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(left, timeout=patience_s)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=patience_s)
    return len(left)


def wait_for_marked_exit(marker: str, patience_s: float) -> bool:
    """Whether all processes that carry `marker` end by themselves within `patience_s`."""
    deadline = time.monotonic() + patience_s
    while marked_processes(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def marked_processes(marker: str, variable: str = RUN_MARKER) -> list[psutil.Process]:
    """The processes that carry `marker` in their environment, this one excepted."""
    mine = (variable, marker)
    me = os.getpid()
    return [p for p in psutil.process_iter() if p.pid != me and mine in _environment(p).items()]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except psutil.Error:
        return {}


def _quietly(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
