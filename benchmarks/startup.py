"""`python -m benchmarks.startup`: what starting a cloud and a site costs on this machine.

A cloud with the included model starts, then a site with three file cameras, whose image code is
compiled already. Recorded of each are the CPU time of all its processes until it works (the cloud
serves; the site's last camera has been answered), then their number and memory (PSS: pages that
processes share are divided among them).
"""

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from actors.rpc.control_client import ControlClient, ControlError
from benchmarks.record import record
from cluster.demo.rtsp_camera import record_to_file
from cluster.ports import free_port
from cluster.supervision.marked_processes import RUN_MARKER, marked_processes, terminate_marked
from cluster.warm_up import compile_image_code

CAMERAS = ("yard", "street", "plaza")
START_TIMEOUT_S = 600.0
POLL_S = 0.25
SETTLE_S = 5.0


def main() -> None:
    """Run and write `results/startup.json`."""
    argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="cs-startup-") as folder:
        result = measure(Path(folder))
    print(json.dumps(result, indent=1))
    print(record("startup", result))


def measure(folder: Path) -> dict[str, Any]:
    """Start the cloud, then the site, with their files in `folder`; return the cost of each."""
    address = f"127.0.0.1:{free_port()}"
    cloud, site = _configurations(folder, address)
    compile_image_code()
    with ControlClient(address) as client:

        def serving() -> bool:
            return bool(client.status().workers)

        def answering() -> bool:
            streams = client.streams()
            return len(streams) == len(CAMERAS) and all(stream.answers for stream in streams)

        with _running("cloud", cloud) as process:
            cost = {"cloud": _cost(process, serving)}
            with _running("site", site) as process:
                cost["site"] = _cost(process, answering)
    return cost


def _configurations(folder: Path, address: str) -> tuple[Path, Path]:
    """Record the cameras' files, and write cloud.yaml and site.yaml."""
    cameras = {}
    for seed, name in enumerate(CAMERAS, 901):
        file = folder / f"{name}.mkv"
        url = f"world://{name}?seed={seed}&fps=10&width=640&height=480&gop=30&seconds=30"
        record_to_file(url, file)
        cameras[name] = {"url": str(file), "loop": True}
    site = {
        "site": "bench",
        "cloud": {"address": address},
        "spool": str(folder / "spool"),
        "archive": {"url": f"dir:{folder / 'archive'}"},
        "cameras": cameras,
    }
    cloud = {"listen": address, "sites": ["bench"], "questions": ["Is there a person?"]}
    return _write(folder / "cloud.yaml", cloud), _write(folder / "site.yaml", site)


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class _Process(subprocess.Popen[bytes]):
    """A process with a marker in its environment, which its descendants inherit."""

    def __init__(self, marker: str, *arguments: Any, **options: Any) -> None:
        self.marker = marker
        super().__init__(*arguments, **options)


@contextmanager
def _running(role: str, config: Path) -> Iterator[_Process]:
    """Run `codecsight ROLE`, which logs beside its configuration."""
    marker = secrets.token_hex(8)
    with config.with_suffix(".log").open("w", encoding="utf-8") as log:
        process = _Process(
            marker,
            [sys.executable, "-m", "codecsight", role, "--config", config],
            env={**os.environ, RUN_MARKER: marker},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        terminate_marked(marker)


def _cost(process: _Process, works: Callable[[], bool]) -> dict[str, Any]:
    """CPU seconds, until `works`, of the process and its descendants; then their number and memory.

    Raises TimeoutError, or RuntimeError if the process ends.
    """
    started = time.monotonic()
    while not _true(works):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
        if time.monotonic() > started + START_TIMEOUT_S:
            raise TimeoutError(f"did not start within {START_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    seconds, cpu = time.monotonic() - started, _by_kind(process, _cpu_seconds)
    time.sleep(SETTLE_S)
    pss = _by_kind(process, _pss)
    return {
        "wall_seconds": round(seconds, 1),
        "cpu_seconds": round(sum(sum(values) for values in cpu.values()), 1),
        "pss_mb": round(sum(sum(values) for values in pss.values()) / 1e6),
        "processes": {
            kind: {
                "count": len(values),
                "cpu_seconds": round(sum(cpu.get(kind, [])), 1),
                "pss_mb": round(sum(values) / 1e6),
            }
            for kind, values in sorted(pss.items())
        },
    }


def _true(works: Callable[[], bool]) -> bool:
    try:
        return works()
    except ControlError:  # not serving yet
        return False


def _by_kind(root: _Process, value: Callable[[psutil.Process], float]) -> dict[str, list[float]]:
    """The value of each process of the tree at `root`, by kind of process.

    Processes that have left the tree are found by the marker; others have overwritten their
    environment with a title.
    """
    own = psutil.Process(root.pid)
    found = {own, *own.children(recursive=True), *marked_processes(root.marker, RUN_MARKER)}
    values: dict[str, list[float]] = {}
    for process in found:
        with suppress(psutil.Error):
            values.setdefault(_kind(process), []).append(value(process))
    return values


def _kind(process: psutil.Process) -> str:
    """A name that is equal for processes that do the same."""
    command = process.cmdline()
    if command[0].startswith("ray"):  # a title: ray::Class, ray::Class.method, ray-dashboard-Module
        return re.split(r"[.( ]|-\d", command[0])[0]
    if "-m" in command[:4]:
        module = command[command.index("-m") + 1]
        return " ".join([module, *command[4:5]]) if module == "codecsight" else module
    scripts = [Path(part).name for part in command if part.endswith(".py")]
    return scripts[0] if scripts else Path(command[0]).name


def _cpu_seconds(process: psutil.Process) -> float:
    """Of the process and of its children that have ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss)


if __name__ == "__main__":
    main()
