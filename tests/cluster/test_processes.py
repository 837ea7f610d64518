"""Process groups, and termination of marked processes."""

import signal
import sys
import time
from pathlib import Path

import psutil

from cluster.processes import RUN_MARKER, ProcessGroup, terminate_marked, wait_for_marked_exit

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"


def _start(tmp_path: Path, code: str, marker: str = "none") -> ProcessGroup:
    group = ProcessGroup(
        "it", [sys.executable, "-c", code], tmp_path / "it.log", {RUN_MARKER: marker}
    )
    while "up" not in group.log_tail():
        time.sleep(0.02)
    return group


def test_stop_ends_a_program_with_sigterm(tmp_path: Path) -> None:
    assert _start(tmp_path, SLEEPER).stop(timeout_s=10) == -signal.SIGTERM


def test_stop_kills_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    assert _start(tmp_path, IGNORES_SIGTERM).stop(timeout_s=0.3) == -signal.SIGKILL


def test_orphans_are_found_and_terminated_by_their_marker(tmp_path: Path) -> None:
    group = _start(tmp_path, PARENT, marker="orphans")
    group.stop(timeout_s=10)
    assert not wait_for_marked_exit("orphans", timeout_s=0.2)
    assert terminate_marked("orphans") == 1
    assert wait_for_marked_exit("orphans", timeout_s=5)


def test_processes_with_another_marker_are_not_terminated(tmp_path: Path) -> None:
    neighbour = _start(tmp_path, SLEEPER, marker="neighbour")
    assert terminate_marked("ours") == 0
    assert psutil.pid_exists(neighbour.pid)
    assert neighbour.exit_code is None
    neighbour.stop(timeout_s=10)
