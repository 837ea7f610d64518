"""The supervisor, with real child processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cluster.supervision.process_spec import (
    Launch,
    ProcessSpec,
    ProcessState,
    ProcessStatus,
    StopBy,
    log_tail,
)
from cluster.supervision.restart_policy import NEVER_RESTART, RestartPolicy
from cluster.supervision.supervisor import Supervisor

WAIT_S = 60.0
SOON = RestartPolicy(first_delay_s=0.05, max_delay_s=0.05)
LATER = RestartPolicy(first_delay_s=600, max_delay_s=600)

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
ENDS_ORDERLY = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0));"
    "print('up', flush=True); signal.pause()"
)
UNTIL_EOF = "import sys; print(sys.stdin.readline(), end='', flush=True); sys.stdin.read()"


class Lines:
    """Collects the lines that processes write."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        self.seen.append(line)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as running:
        yield running


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def spec(lines: Lines) -> ProcessSpec:
    """A process that sleeps, and is restarted at once if it fails."""
    return ProcessSpec(name="it", command=_python(SLEEP), on_line=lines, policy=SOON)


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_status(
    supervisor: Supervisor, condition: Callable[[ProcessStatus], object]
) -> ProcessStatus:
    _wait(lambda: condition(supervisor.status()[0]))
    return supervisor.status()[0]


def _pid(supervisor: Supervisor) -> int:
    pid = _wait_status(supervisor, lambda status: status.pid).pid
    assert pid is not None
    return pid


@pytest.mark.parametrize(("code", "reason"), [(0, "exit code 0"), (7, "exit code 7")])
def test_an_unrequested_exit_is_followed_by_a_restart(
    supervisor: Supervisor, spec: ProcessSpec, code: int, reason: str
) -> None:
    supervisor.start(replace(spec, command=_python(f"raise SystemExit({code})")))
    status = _wait_status(supervisor, lambda status: status.restarts >= 2)
    assert status.reason == reason


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_killed_from_outside_is_restarted(
    supervisor: Supervisor, spec: ProcessSpec, number: signal.Signals
) -> None:
    supervisor.start(spec)
    first = _pid(supervisor)
    os.kill(first, number)
    status = _wait_status(supervisor, lambda status: status.pid not in (None, first))
    assert (status.state, status.restarts) == (ProcessState.RUNNING, 1)
    assert status.reason == f"killed by {number.name}"


def test_an_orderly_end_on_a_signal_from_outside_is_followed_by_a_restart(
    supervisor: Supervisor, spec: ProcessSpec, lines: Lines
) -> None:
    supervisor.start(replace(spec, command=_python(ENDS_ORDERLY)))
    first = _pid(supervisor)
    _wait(lambda: lines.seen)
    os.kill(first, signal.SIGTERM)
    status = _wait_status(supervisor, lambda status: status.pid not in (None, first))
    assert status.reason == "exit code 0"


def test_a_process_that_cannot_be_started_is_tried_again_until_it_can(
    supervisor: Supervisor, spec: ProcessSpec, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    supervisor.start(replace(spec, command=(str(program),)))
    status = _wait_status(supervisor, lambda status: status.restarts >= 2)
    assert status.reason.startswith("can't be started")
    assert "No such file" in status.reason
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    _wait_status(supervisor, lambda status: status.state is ProcessState.RUNNING)


@pytest.mark.parametrize(
    "code",
    ["import time; time.sleep(600)", "print('up', flush=True); import time; time.sleep(600)"],
)
def test_a_silent_process_is_killed_and_restarted(
    supervisor: Supervisor, spec: ProcessSpec, code: str
) -> None:
    command = _python(code)
    supervisor.start(replace(spec, command=command, start_timeout_s=1, silence_s=1))
    first = _pid(supervisor)
    status = _wait_status(supervisor, lambda status: status.restarts)
    assert status.reason == "no sign of life for 1 s"
    assert not psutil.pid_exists(first)


def test_a_process_that_writes_lines_is_not_killed(
    supervisor: Supervisor, spec: ProcessSpec, lines: Lines
) -> None:
    code = "import time\nwhile True: print(1, flush=True); time.sleep(0.1)"
    supervisor.start(replace(spec, command=_python(code), silence_s=10))
    _wait(lambda: len(lines.seen) > 20)
    assert supervisor.status()[0].restarts == 0


def test_the_next_attempt_is_shown_and_stop_does_not_wait_for_it(
    supervisor: Supervisor, spec: ProcessSpec
) -> None:
    supervisor.start(replace(spec, command=_python("raise SystemExit(1)"), policy=LATER))
    status = _wait_status(supervisor, lambda status: status.state is ProcessState.WAITING)
    assert status.next_attempt is not None
    assert 500 < status.next_attempt - time.time() <= 600
    supervisor.stop()
    assert supervisor.status()[0].state is ProcessState.STOPPED


def test_a_finished_process_is_not_restarted(supervisor: Supervisor, spec: ProcessSpec) -> None:
    command = _python("raise SystemExit(3)")
    supervisor.start(replace(spec, command=command, finished_codes=frozenset({3})))
    status = _wait_status(supervisor, lambda status: not status.running)
    assert (status.state, status.restarts) == (ProcessState.FINISHED, 0)


@pytest.mark.parametrize(
    "changes", [{"fatal_codes": frozenset({2})}, {"policy": NEVER_RESTART}], ids=str
)
def test_a_fatal_exit_code_or_the_policy_gives_up(
    supervisor: Supervisor, spec: ProcessSpec, lines: Lines, changes: dict[str, object]
) -> None:
    command = _python("print('why'); raise SystemExit(2)")
    supervisor.start(replace(spec, command=command, **changes))  # type: ignore[arg-type]
    status = _wait_status(supervisor, lambda status: not status.running)
    assert (status.state, status.restarts) == (ProcessState.FAILED, 0)
    assert status.reason == "exit code 2"
    assert lines.seen == [b"why\n"]


def test_it_gives_up_after_the_number_of_failures(
    supervisor: Supervisor, spec: ProcessSpec
) -> None:
    policy = replace(SOON, max_failures=3)
    supervisor.start(replace(spec, command=_python("raise SystemExit(1)"), policy=policy))
    status = _wait_status(supervisor, lambda status: status.state is ProcessState.FAILED)
    assert status.restarts == 2


def test_stop_kills_a_process_that_ignores_sigterm(
    supervisor: Supervisor, spec: ProcessSpec, lines: Lines
) -> None:
    supervisor.start(replace(spec, command=_python(IGNORES_SIGTERM), stop_timeout_s=0.3))
    pid = _pid(supervisor)
    _wait(lambda: lines.seen)
    supervisor.stop("it")
    assert not psutil.pid_exists(pid)
    assert supervisor.status()[0].state is ProcessState.STOPPED


def test_each_run_has_its_own_launch_and_ends_with_its_input(
    supervisor: Supervisor, spec: ProcessSpec, lines: Lines
) -> None:
    closed: list[int] = []
    runs = iter(range(10))

    @contextmanager
    def prepare() -> Iterator[Launch]:
        run = next(runs)
        yield Launch(first_input=f"run {run}\n")
        closed.append(run)

    command = _python(UNTIL_EOF)
    supervisor.start(
        replace(spec, command=command, prepare=prepare, stop_by=StopBy.STDIN_EOF, stop_timeout_s=60)
    )
    _wait(lambda: len(lines.seen) == 1)
    os.kill(_pid(supervisor), signal.SIGKILL)
    _wait(lambda: len(lines.seen) == 2)
    assert closed == [0]
    supervisor.stop()
    assert lines.seen == [b"run 0\n", b"run 1\n"]
    assert closed == [0, 1]


def test_stopping_one_process_leaves_the_others(supervisor: Supervisor, spec: ProcessSpec) -> None:
    supervisor.start(spec, replace(spec, name="other"))
    _wait(lambda: all(status.pid for status in supervisor.status()))
    supervisor.stop("it")
    states = {status.name: status.state for status in supervisor.status()}
    assert states == {"it": ProcessState.STOPPED, "other": ProcessState.RUNNING}
    with pytest.raises(ValueError, match="other"):
        supervisor.start(replace(spec, name="other"))
    supervisor.start(spec)


def test_output_goes_to_the_log(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    code = "import sys; print(1); print(2); sys.exit('three')"
    supervisor.start(ProcessSpec(name="it", command=_python(code), log=log, policy=NEVER_RESTART))
    _wait_status(supervisor, lambda status: status.state is ProcessState.FAILED)
    assert set(log_tail(log).splitlines()) == {"1", "2", "three"}
    assert len(log_tail(log, 2).splitlines()) == 2
    assert log_tail(tmp_path / "missing.log") == ""
