"""End to end: `codecsight demo` with real processes, crashes and signals."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from codecsight.archive.index import Index
from codecsight.archive.store_factory import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

WAIT_S = 300


class Demo:
    """A running demo with its own home and temporary folder, so that leftovers are found."""

    def __init__(self, root: Path, seconds: int) -> None:
        self.home, self.temporary, self.folder = root / "h", root / "t", root / "d"
        self.home.mkdir()
        self.temporary.mkdir()
        command = [sys.executable, "-m", "codecsight", "demo", "--json", "--dir", str(self.folder)]
        self._stderr = root / "stderr"
        with self._stderr.open("w") as stderr:
            self.process = subprocess.Popen(
                [*command, "--seconds", str(seconds)],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "HOME": str(self.home), "TMPDIR": str(self.temporary)},
            )

    def stderr(self) -> str:
        """The standard error output so far."""
        return self._stderr.read_text(errors="replace")

    def finish(self) -> tuple[str, str]:
        out, _ = self.process.communicate(timeout=WAIT_S)
        return out, self.stderr()

    def children(self) -> list[psutil.Process]:
        """All running descendants of the demo."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process for process in children if process.is_running()]

    def left_behind(self) -> list[str]:
        """Processes with this demo's environment, and files outside its working folder."""
        processes = [
            process.name()
            for process in psutil.process_iter()
            if _environment(process).get("TMPDIR") == str(self.temporary)
        ]
        files = [str(p) for folder in (self.home, self.temporary) for p in folder.rglob("*")]
        return [*processes, *files]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return {} if zombie else process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def root() -> Iterator[Path]:
    """A short path: socket paths are limited to 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


VICTIMS = (
    *("ray::GpuWorker", "ray::GatewayActor", "ray::DirectoryActor"),
    *("ray::UplinkActor", "ray::ArchiverActor", "ray::CameraActor"),
    "--stream demo.street",  # a recording process
)


def _kill_one_of_each_kind(demo: Demo) -> float:
    """Kill one process of each kind once all cameras have answers; return the wall-clock time."""
    deadline = time.monotonic() + WAIT_S
    while "watching" not in demo.stderr():
        assert time.monotonic() < deadline, demo.stderr()
        assert demo.process.poll() is None, demo.stderr()
        time.sleep(0.5)
    running = [(" ".join(_command(process)), process) for process in demo.children()]
    for victim in VICTIMS:
        found = [process for command, process in running if victim in command]
        assert found, (victim, [command for command, _ in running])
        found[0].kill()
    return time.time()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _check_archive(folder: Path) -> int:
    """Check that every row points to an undamaged object; return the number of rows."""
    archive = folder / "archive"
    if not archive.exists():
        return 0
    store = open_store(f"dir:{archive}")
    index = Index(store)
    rows = [
        row
        for stream in index.streams()
        for row in index.between(stream, 0, time.time() + 60).segments
    ]
    for row in rows:
        assert store.sha256(row.key) == row.sha256
    return len(rows)


def test_the_demo_recovers_from_crashes_and_leaves_nothing_behind(root: Path) -> None:
    demo = Demo(root, seconds=60)
    killed = _kill_one_of_each_kind(demo)
    out, err = demo.finish()
    assert demo.process.returncode == 0, err
    row = json.loads(out)
    assert len(row["cameras"]) == 4
    assert all(camera["frames"] > 0 for camera in row["cameras"].values())
    assert {answer["stream"] for answer in row["answers"]} == set(row["cameras"])
    late = [answer for answer in row["answers"] if answer["capture_time"] > killed + 2]
    assert {answer["stream"] for answer in late} == set(row["cameras"]), "a camera did not recover"
    assert 0 < row["uplink_bytes"] < row["source_bytes"]
    assert 0 < row["cells_kept"] < row["cells_total"]
    assert 0 < row["flops"] < row["flops_dense"]
    assert row["segments_archived"] == row["segments_verified"] > 0
    assert row["processes_left"] == 0
    assert _check_archive(demo.folder) == row["segments_archived"]
    assert demo.left_behind() == []


@pytest.mark.parametrize("between", [(1, 10), (15, 45)])
def test_a_signal_at_any_time_leaves_an_undamaged_archive_and_nothing_else(
    root: Path, between: tuple[int, int]
) -> None:
    moment = random.uniform(*between)
    demo = Demo(root, seconds=120)
    time.sleep(moment)
    demo.process.send_signal(signal.SIGTERM)
    out, err = demo.finish()
    # Before its first answers, or while it still imports its modules and has started nothing.
    early = (130, -signal.SIGTERM)
    expected = (0,) if out and json.loads(out)["answers"] else early
    assert demo.process.returncode in expected, f"at {moment:.1f} s: {err}"
    _check_archive(demo.folder)
    assert demo.left_behind() == [], f"at {moment:.1f} s"
