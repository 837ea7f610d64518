"""What a supervised process is, and what is shown of it."""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cluster.supervision.restart_policy import RestartPolicy


@dataclass(frozen=True, slots=True)
class Launch:
    """What differs from run to run: environment variables, and the first input (ends with "\\n").

    Without `first_input`, standard input carries nothing.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    first_input: str = ""


class StopBy(StrEnum):
    """How a process is requested to end. STDIN_EOF: its standard input is closed."""

    SIGTERM = "SIGTERM"
    STDIN_EOF = "stdin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One named process: how to start it, to watch it, to restart it and to stop it.

    - `environment` is added to this process's own, of which the variables `withheld` (secrets of
      other processes) are left out. `prepare` opens the resources of one run, for
      example a folder, and closes them after its end.
    - `log`: file that output is appended to; None: the output of this process is inherited.
    - `on_line` is called, in a thread, with every line of standard output (bytes). Each line is
      also a sign of life: after `start_timeout_s` without the first, or `silence_s` without
      another, the process is killed and started again; after `frozen_s` already, if it used no
      CPU time either (see `liveness`). `silence_s` None: no such rule.
    - `finished_codes`: exit codes after which the process has done its work. `fatal_codes`: exit
      codes after which a restart can't help. Any other unrequested exit, 0 too, is a failure.
    - It is killed `stop_timeout_s` after it was requested to end.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    withheld: frozenset[str] = frozenset()
    prepare: Callable[[], AbstractContextManager[Launch]] = lambda: nullcontext(Launch())
    log: Path | None = None
    on_line: Callable[[bytes], None] | None = None
    start_timeout_s: float = 60.0
    silence_s: float | None = None
    frozen_s: float | None = None
    finished_codes: frozenset[int] = frozenset()
    fatal_codes: frozenset[int] = frozenset()
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    stop_by: StopBy = StopBy.SIGTERM
    stop_timeout_s: float = 10.0


class ProcessState(StrEnum):
    """FINISHED: its work is done. FAILED: given up. STOPPED: as requested."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """State of a supervised process since the Unix time `since`, for logs and reports.

    `reason` says why its last run ended. `next_attempt` is the Unix time of the next start while
    it is WAITING.
    """

    name: str
    state: ProcessState
    since: float
    pid: int | None = None
    restarts: int = 0
    reason: str = ""
    next_attempt: float | None = None

    @property
    def running(self) -> bool:
        """Whether the process runs or is being started."""
        return self.state in (ProcessState.STARTING, ProcessState.RUNNING)


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file, for error messages; empty if it can't be read."""
    try:
        with log.open(errors="replace") as file:
            return "".join(deque(file, lines)).rstrip("\n")
    except OSError:
        return ""
