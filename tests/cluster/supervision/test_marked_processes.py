"""Termination of the processes that carry a run's marker."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from cluster.supervision.marked_processes import (
    RUN_MARKER,
    marked_processes,
    terminate_marked,
    wait_for_marked_exit,
)

SLEEPER = "import time; time.sleep(600)"
PARENT = (
    f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]);"
    "print(p.pid, flush=True); p.wait(600)"
)


@pytest.fixture
def children() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def _start(code: str, marker: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, RUN_MARKER: marker}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_orphans_are_found_and_terminated_by_their_marker(
    children: list["subprocess.Popen[str]"],
) -> None:
    parent = _start(PARENT, "orphans")
    children.append(parent)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10)
    assert [process.pid for process in marked_processes("orphans")] == [orphan]
    assert not wait_for_marked_exit("orphans", timeout_s=0.2)
    assert terminate_marked("orphans") == 1
    assert wait_for_marked_exit("orphans", timeout_s=5)


def test_processes_with_another_marker_are_not_terminated(
    children: list["subprocess.Popen[str]"],
) -> None:
    neighbour = _start(SLEEPER, "neighbour")
    children.append(neighbour)
    deadline = time.monotonic() + 30
    while not marked_processes("neighbour"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert terminate_marked("ours") == 0
    assert psutil.pid_exists(neighbour.pid)
    assert neighbour.poll() is None
