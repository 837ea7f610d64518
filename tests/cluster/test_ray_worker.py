"""The protocol between a supervisor and a process that holds Ray."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from cluster.cloud_worker import gpus_per_worker
from cluster.ray_worker import ConfigFaultError, parse_report, ray_launch
from cluster.shutdown import stop_on_signals
from cluster.supervision.process_spec import ProcessSpec
from cluster.supervision.supervisor import Supervisor
from codecsight.core.stop_signals import STOP_SIGNALS


@pytest.mark.parametrize(
    "line", [b"", b"\n", b'{"time": 1, "cam', b"\xff\xfe", b"null\n", b"[1]\n", b"3\n"]
)
def test_a_damaged_report_is_ignored(line: bytes) -> None:
    assert parse_report(line) is None
    assert parse_report(b'{"time": 1}\n') == {"time": 1}


def test_reports_after_a_half_written_one_still_arrive() -> None:
    """The first run dies within a line; the second one writes a whole line."""
    code = (
        "import sys, json, pathlib, time\n"
        "first = pathlib.Path(json.loads(sys.stdin.readline())['flag'])\n"
        "again = first.exists(); first.touch()\n"
        "print('{\"run\": 2}' if again else '{\"ru', end='\\n' if again else '', flush=True)\n"
        "time.sleep(600 if again else 0)"
    )
    arrived = threading.Event()
    lines: list[bytes] = []

    def on_line(line: bytes) -> None:
        lines.append(line)
        if parse_report(line) == {"run": 2}:
            arrived.set()

    with ray_launch("cs-t-", {}) as outer, Supervisor() as supervisor:
        flag = str(Path(json.loads(outer.first_input)["folder"]) / "flag")
        supervisor.start(
            ProcessSpec(
                name="it",
                command=(sys.executable, "-c", code),
                prepare=lambda: ray_launch("cs-t-", {"flag": flag}),
                on_line=on_line,
            )
        )
        assert arrived.wait(60)
    assert lines == [b'{"ru', b'{"run": 2}\n']


def test_a_launch_ends_what_its_run_has_left() -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    pids: list[int] = []
    found = threading.Event()

    def on_line(line: bytes) -> None:
        pids.append(int(line))
        found.set()

    with Supervisor() as supervisor:
        supervisor.start(
            ProcessSpec(
                name="it",
                command=(sys.executable, "-c", code),
                prepare=lambda: ray_launch("cs-t-", {}),
                on_line=on_line,
            )
        )
        assert found.wait(60)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_stop_signal_sets_the_event(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}
    try:
        stop = stop_on_signals()
        os.kill(os.getpid(), number)
        assert stop.wait(10)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_an_ignored_sighup_stays_ignored() -> None:
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop_on_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_each_worker_has_a_gpu_of_its_own_or_none_has_one() -> None:
    assert [gpus_per_worker(gpus, 2) for gpus in (0, 2, 8)] == [0, 1, 1]
    with pytest.raises(ConfigFaultError, match="workers: 4 workers, but 3 GPUs"):
        gpus_per_worker(3, 4)
