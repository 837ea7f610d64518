"""Failures of a cloud: it restarts Ray if Ray dies, and ends at once if it can't start."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from actors.rpc.control_client import ControlClient, ControlError
from cluster.ports import free_port
from tests.actors.rpc.memory_host import site, welcomed

pytestmark = pytest.mark.ray

WAIT_S = 120
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may still wait to be collected by init."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Cloud:
    """`codecsight cloud` with the built-in model, at `address`."""

    def __init__(self, folder: Path, port: int, **settings: object) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{port}"
        config = {"listen": self.address, "sites": ["yard"], **settings}
        (folder / "cloud.yaml").write_text(yaml.safe_dump(config))
        self._log = folder / "cloud.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "codecsight", "--log", "json"),
                    *("cloud", "-c", folder / "cloud.yaml"),
                ],
                stderr=log,
                env={**os.environ, **ENVIRONMENT, "TMPDIR": str(folder)},
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event."""
        lines = [line for line in self.log().splitlines() if f'"event": "{event}"' in line]
        return [json.loads(line) for line in lines]

    def wait_for_answer(self) -> None:
        """Wait until the cloud answers a call."""
        self.wait(self._answers)

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.5)

    def child(self, text: str) -> psutil.Process:
        """The descendant whose command line contains `text`."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        [found] = [process for process in children if text in " ".join(process.cmdline())]
        return found

    def _answers(self) -> bool:
        try:
            with ControlClient(self.address, None) as client:
                return client.status().workers != ()
        except ControlError:
            return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: socket paths are limited to 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="cloud-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Cloud]]:
    """Starts a cloud, and kills it after the test."""
    started: list[Cloud] = []

    def start_cloud(port: int, **settings: object) -> Cloud:
        started.append(Cloud(folder, port, **settings))
        return started[-1]

    yield start_cloud
    for cloud in started:
        cloud.process.kill()
        cloud.process.wait(WAIT_S)


def listening_addresses(cloud: Cloud) -> set[str]:
    """The addresses on which the cloud's processes listen, Ray's with its Prometheus targets."""
    processes = psutil.Process(cloud.process.pid).children(recursive=True)
    sockets = [one for process in processes for one in process.net_connections("tcp")]
    addresses = [one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN]
    assert len(addresses) > 5
    return {address.removeprefix("::ffff:") for address in addresses}


def connect_and_leave(cloud: Cloud) -> None:
    """Connect a stream and end it; check that the cloud has logged both, as its actors wrote it."""

    async def scene() -> None:
        async with site(int(cloud.address.split(":")[1]), "yard", None) as client:
            await welcomed(client.open("yard.gate", 640, 360))

    asyncio.run(scene())
    cloud.wait(lambda: "set 'model' in cloud.yaml" in cloud.log())
    [note] = [line for line in cloud.log().splitlines() if "set 'model' in cloud.yaml" in line]
    assert json.loads(note)["stream"] == "yard.gate"
    for event in ("stream connected", "stream disconnected"):
        cloud.wait(lambda event=event: cloud.logged(event))  # type: ignore[misc]
        [line] = cloud.logged(event)
        assert (line["level"], line["process"], line["stream"]) == (
            "warning",
            "gateway",
            "yard.gate",
        )


def test_the_cloud_serves_again_after_ray_died_and_ends_on_sighup(
    start: Callable[..., Cloud],
) -> None:
    cloud = start(free_port(), engine={"memory_mib": 256})
    cloud.wait_for_answer()
    connect_and_leave(cloud)
    assert listening_addresses(cloud) == {"127.0.0.1"}
    cloud.child("gcs_server").kill()
    cloud.wait(lambda: len(cloud.logged("serving")) == 2)
    cloud.wait_for_answer()
    started = psutil.Process(cloud.process.pid).children(recursive=True)
    assert started
    cloud.process.send_signal(signal.SIGHUP)
    assert cloud.process.wait(WAIT_S) == 0, cloud.log()
    assert [process for process in started if _is_alive(process)] == []
    assert list(cloud.folder.glob("cs-*")) == []


def test_a_port_in_use_ends_the_cloud_with_its_message(start: Callable[..., Cloud]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cloud = start(taken.getsockname()[1])
        assert cloud.process.wait(WAIT_S) == 2, cloud.log()
    expected = f"listen: can't listen on {cloud.address}: Address already in use"
    assert expected in cloud.log()
    assert len(cloud.log().splitlines()) == 1, "found before anything is started"
    assert "retry_in_s" not in cloud.log()
    assert list(cloud.folder.glob("cs-*")) == []


def test_a_model_that_a_worker_cannot_load_ends_the_cloud_with_its_message(
    start: Callable[..., Cloud], folder: Path
) -> None:
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert"}')
    (model / "tokenizer.json").write_text("{}")
    (model / "model.safetensors").touch()
    cloud = start(free_port(), model=str(model))
    assert cloud.process.wait(WAIT_S) == 2, cloud.log()
    message = cloud.log().rpartition("the cloud did not start: ")[2]
    assert "bert" in message
    assert "codecsight.models" not in message, "no name of a class"
    assert "retry_in_s" not in cloud.log()
    assert list(folder.glob("cs-*")) == []


def test_a_missing_key_file_is_named_before_anything_is_started(
    start: Callable[..., Cloud], folder: Path
) -> None:
    missing = str(folder / "missing.pem")
    cloud = start(free_port(), tls={"ca": missing, "cert": missing, "key": missing})
    assert cloud.process.wait(WAIT_S) == 2, cloud.log()
    assert missing in cloud.log()
