"""A site of two cameras and a cloud of two workers: real processes that tests kill and freeze."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import yaml

from actors.rpc.control_client import ControlClient, ControlError
from cluster.ports import free_port
from codecsight.archive.index import Index
from codecsight.archive.store_factory import open_store
from codecsight.uplink.fleet import StreamStatus

WAIT_S = 120
CAMERAS = ("gate", "yard")
T = TypeVar("T")


class Fleet:
    """`codecsight cloud` and `codecsight site`. `report` is the site's newest report."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.report = folder, dict[str, Any]()
        self.archive = f"dir:{folder / 'archive'}"
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        engine = {"memory_mib": 256, "window": 4, "stride": 1}
        self.cloud = self._start(
            "cloud", {"listen": self.address, "sites": ["s"], "workers": 2, "engine": engine,
                      "questions": ["Is there a person?"]},
        )  # fmt: skip
        self.site = self._start("site", self._site_config(), "--json", stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()

    def _site_config(self) -> dict[str, object]:
        cameras = {
            name: {"url": f"world://hall?width=160&height=120&gop=10&seed={seed}", "segment_s": 2}
            for seed, name in enumerate(CAMERAS)
        }
        return {
            "site": "s",
            "cloud": {"address": self.address},
            "spool": str(self.folder / "spool"),
            "archive": {"url": self.archive},
            "cameras": cameras,
        }

    def _start(
        self, role: str, config: dict[str, object], *options: str, stdout: int | None = None
    ) -> subprocess.Popen[str]:
        file = self.folder / f"{role}.yaml"
        file.write_text(yaml.safe_dump(config))
        with (self.folder / f"{role}.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "codecsight", "--log", "json", role, "-c", file, *options],
                stdout=stdout,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder)},
            )

    def _read(self) -> None:
        assert self.site.stdout is not None
        for line in self.site.stdout:
            self.report = json.loads(line)

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))

    def wait(self, condition: Callable[[], T]) -> T:
        """Wait until the condition holds; returns its value."""
        deadline = time.monotonic() + WAIT_S
        while not (value := condition()):
            assert time.monotonic() < deadline, self.logs()[-6000:]
            time.sleep(0.2)
        return value

    def processes(self, text: str, side: str = "") -> list[psutil.Process]:
        """Processes whose command line contains `text`, in the order of their start; of the `site`
        or the `cloud` only, if one is named.
        """
        found = []
        roots = {"site": [self.site], "cloud": [self.cloud]}.get(side, [self.site, self.cloud])
        for root in roots:
            for process in psutil.Process(root.pid).children(recursive=True):
                try:
                    if text in " ".join(process.cmdline()):
                        found.append(process)
                except psutil.Error:  # it has ended
                    continue
        return sorted(found, key=lambda one: one.create_time())

    def pids(self, *texts: str) -> dict[str, list[int]]:
        """Process ids by a text in their command lines."""
        return {text: [process.pid for process in self.processes(text)] for text in texts}

    def streams(self) -> dict[str, StreamStatus]:
        """The cloud's streams by name; empty while it does not respond."""
        try:
            with ControlClient(self.address, None) as client:
                return {each.stream: each for each in client.streams()}
        except ControlError:
            return {}

    def answered_at(self) -> dict[str, float]:
        """Capture time of the newest answer, by stream."""
        return {
            name: max((answer.capture_time for answer in each.answers), default=0.0)
            for name, each in self.streams().items()
        }

    def wait_for_new_answers(self) -> float:
        """Wait until every stream answers about what was captured from now on; returns seconds."""
        began = time.time()

        def answered() -> bool:
            newest = self.answered_at()
            return len(newest) == len(CAMERAS) and min(newest.values()) > began

        self.wait(answered)
        return time.time() - began

    def recorded_gaps(self, camera: str, since: float) -> float:
        """The longest time since `since` that was not recorded, in seconds, as far as archived."""
        found = Index(open_store(self.archive)).between(f"s.{camera}", since, time.time()).segments
        ends = [since, *(segment.end for segment in found)]
        starts = [segment.start for segment in found]
        return max((b - a for a, b in zip(ends, starts, strict=False)), default=0.0)

    def stop(self) -> None:
        for process in (self.site, self.cloud):
            process.terminate()
        for process in (self.site, self.cloud):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="package")
def fleet() -> Iterator[Fleet]:
    folder = Path(tempfile.mkdtemp(prefix="ch-"))  # short: socket paths are limited to 107 bytes
    running = Fleet(folder)
    try:
        running.wait_for_new_answers()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
