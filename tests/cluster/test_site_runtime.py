"""Failures of a site: it records on if Ray dies, a camera is invalid, or the cloud is down."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from codecsight.archive.index import Index
from codecsight.archive.store_factory import open_store

pytestmark = pytest.mark.ray

WAIT_S = 90


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may still wait to be collected by init."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Site:
    """`codecsight site` with a valid camera `good`, and a text file as camera `text`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = f"dir:{folder / 'archive'}"
        (folder / "text.mp4").write_text("no video\n" * 100)
        config = {
            "site": "yard",
            "cloud": {"address": "127.0.0.1:9"},
            "spool": str(folder / "spool"),
            "archive": {"url": self.archive},
            "cameras": {
                "good": {"url": "world://hall?width=160&height=120&gop=10", "segment_s": 2},
                "text": {"url": str(folder / "text.mp4")},
            },
        }
        (folder / "site.yaml").write_text(yaml.safe_dump(config))
        self.log = folder / "site.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "codecsight", "site", "-c", folder / "site.yaml", "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "TMPDIR": str(folder)},
            )

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Read reports until one meets the condition."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + WAIT_S
        for line in self.process.stdout:
            if condition(json.loads(line)):  # stdout must contain nothing but reports
                return
            assert time.monotonic() < deadline, line
        raise AssertionError(self.log.read_text())

    def children(self, text: str) -> list[psutil.Process]:
        """Descendants whose command line contains `text`."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in children if text in " ".join(_command_line(process))]


def _command_line(process: psutil.Process) -> list[str]:
    """The command line; empty if the process has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="site-"))  # short: socket paths are limited to 107 bytes
    running = Site(folder)
    yield running
    running.process.kill()
    running.process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _states(report: dict[str, Any]) -> dict[str, str]:
    return {name: camera["state"] for name, camera in report["cameras"].items()}


def _is_recovered(report: dict[str, Any]) -> bool:
    archive = report["archive"] or {"uploaded": 0}
    return _states(report) == {"good": "live", "text": "down"} and archive["uploaded"] > 0


def test_recording_shows_before_ray_is_up_and_the_uplinks_state_after(site: Site) -> None:
    def recording(report: dict[str, Any]) -> bool:
        states = {name: row["state"] for name, row in report["recorders"].items()}
        return states == {"good": "live", "text": "down"}

    def unreachable(report: dict[str, Any]) -> bool:
        link = report["uplinks"].get("yard.good", {})
        return link.get("state") == "down" and "UNAVAILABLE" in link["detail"]

    before: list[dict[str, Any]] = []
    site.wait(lambda report: before.append(report) or recording(report))  # type: ignore[func-returns-value]
    assert {tuple(report["cameras"]) for report in before} == {()}
    assert "text.mp4" in before[-1]["recorders"]["text"]["error"]
    site.wait(unreachable)


def test_recording_continues_when_the_worker_dies_and_when_stdout_is_closed(site: Site) -> None:
    site.wait(lambda report: _states(report).get("good") == "live")
    recording = site.children("--stream yard.good")[0].pid
    site.children("cluster.site_worker")[0].kill()
    site.wait(_is_recovered)
    assert [process.pid for process in site.children("--stream yard.good")] == [recording]
    assert site.process.stdout is not None
    site.process.stdout.close()
    time.sleep(5)
    site.process.terminate()
    assert site.process.wait(WAIT_S) == 0, site.log.read_text()
    segments = Index(open_store(site.archive)).between("yard.good", 0, time.time()).segments
    gaps = [b.start - a.end for a, b in pairwise(segments)]
    assert len(segments) > 5
    assert max(gaps) < 0.5, "recording was interrupted"


def test_a_recorder_that_was_ended_from_outside_records_again(site: Site) -> None:
    site.wait(lambda report: report["processes"]["recorder:good"]["pid"] is not None)
    [recorder] = site.children("--stream yard.good")
    while not _catches_sigterm(recorder):
        time.sleep(0.1)
    recorder.terminate()
    site.wait(lambda report: report["processes"]["recorder:good"]["restarts"] == 1)
    site.wait(lambda report: report["processes"]["recorder:good"]["state"] == "running")
    [again] = site.children("--stream yard.good")
    assert again.pid != recorder.pid
    log = site.log.read_text()
    assert "exit code 0" in log, log


def _catches_sigterm(process: psutil.Process) -> bool:
    """Whether the process has a handler for SIGTERM, by /proc."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_sighup_ends_the_site_in_an_orderly_way(site: Site) -> None:
    site.wait(lambda report: _states(report).get("good") == "live")
    started = psutil.Process(site.process.pid).children(recursive=True)
    site.process.send_signal(signal.SIGHUP)
    assert site.process.wait(WAIT_S) == 0, site.log.read_text()
    assert [process for process in started if _is_alive(process)] == []
    assert list(site.folder.glob("cs-*")) == []


def test_killing_the_site_ends_all_its_processes(site: Site) -> None:
    site.wait(lambda report: report["archive"] is not None)
    started = psutil.Process(site.process.pid).children(recursive=True)
    assert len(started) > 5
    os.kill(site.process.pid, 9)
    _, alive = psutil.wait_procs(started, timeout=WAIT_S)
    assert alive == []
