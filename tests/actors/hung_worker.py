"""A gateway with a worker that serves and one that hangs, as actors of a real Ray.

Imported in a process of its own: a private Ray must be set up before Ray is imported.
"""

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest

from actors import gateway_actor
from actors.directory_actor import DirectoryActor
from actors.gateway_actor import GatewayActor
from actors.gpu_worker import GpuWorker
from cluster.private_ray import start_named_actor
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.grid import GridSpec
from codecsight.models.loading import load_model
from codecsight.uplink.cloud_link import SessionGrant, StreamRejected
from codecsight.uplink.fleet import FlopCount, StreamWindow, WorkerStatus
from codecsight.uplink.leases import Lease
from codecsight.uplink.messages import Hello, RejectReason
from tests.actors.local_worker import make_chunk, make_hello

LIMIT_S = 120.0
"""A wait that takes longer has failed."""
STREAMS = tuple(f"yard.c{number}" for number in range(4))
HEALTHY, HUNG = "gpu:here:0", "gpu:here:1"


class Directory(DirectoryActor):
    """Counts renewals by stream, and reports by worker."""

    def __init__(self) -> None:
        super().__init__(sites=(), max_streams=100)
        self._counts: Counter[str] = Counter()

    def renew(self, leases: list[Lease]) -> list[str]:
        self._counts.update(lease.stream for lease in leases)
        return super().renew(leases)

    def report(self, status: WorkerStatus) -> None:
        self._counts[status.name] += 1
        super().report(status)

    def counts(self) -> Counter[str]:
        return self._counts


class HungWorker:
    """A worker whose process blocks in every call, once it is told to hang."""

    def __init__(self, spec: GridSpec) -> None:
        self._spec = spec
        self._hangs = False

    def hang(self) -> None:
        self._hangs = True

    def model_name(self) -> str:
        return "tiny"

    def open(self, hello: Hello, epoch: int) -> SessionGrant:
        self._respond()
        assert hello.stream
        return SessionGrant(epoch, self._spec, None)

    def push(self, _: Any) -> None:
        self._respond()

    def close(self, _: str) -> None:
        self._respond()

    def windows(self) -> dict[str, StreamWindow]:
        self._respond()
        return {}

    def status(self) -> WorkerStatus:
        self._respond()
        flops = FlopCount(0.0, 0.0)
        return WorkerStatus(HUNG, 0, 0, 100, 0, 0, flops, flops, flops, 0)

    def _respond(self) -> None:
        if self._hangs:
            threading.Event().wait(10 * LIMIT_S)


def run(model: str) -> None:
    """Run the scenario. Raises AssertionError or TimeoutError."""
    asyncio.run(_run(model))


async def _run(model: str) -> None:
    config = CloudConfig.model_validate(
        {"listen": "127.0.0.1:0", "sites": ["yard"], "model": model, "max_cells": 12}
    )
    gateway_actor.RENEW_INTERVAL_S = gateway_actor.REPORT_INTERVAL_S = 0.1
    spec = load_model(config.model).grid_spec(config.sample_fps, config.max_cells)
    directory = start_named_actor(Directory, "directory")
    workers = [
        start_named_actor(GpuWorker, HEALTHY, HEALTHY, config),
        start_named_actor(HungWorker, HUNG, spec),
    ]
    gateway = GatewayActor(config, "directory", [HEALTHY, HUNG])
    await gateway.start()
    epochs = {name: (await gateway.open(make_hello(name))).epoch for name in STREAMS}
    owners = {gateway._leases[name].owner: name for name in STREAMS}
    good, bad = owners[HEALTHY], owners[HUNG]
    await workers[1].hang.remote()

    # Longer than the test, so that what waits for the hung worker never returns.
    gateway_actor.WORKER_CALL_S = 10 * LIMIT_S
    counts = await directory.counts.remote()
    await _reach(directory, counts + Counter({good: 5, HEALTHY: 5}))

    assert await gateway.push(make_chunk(spec, 0, epochs[good], stream=good)) is None
    gateway_actor.WORKER_JOB_S = 0.5
    with pytest.raises(StreamRejected, match=f"{HUNG} did not respond") as rejected:
        await gateway.push(make_chunk(spec, 0, epochs[bad], stream=bad))
    assert rejected.value.reject.reason is RejectReason.NO_CAPACITY
    gateway_actor.WORKER_STATUS_S = 5.0
    assert [status.stream for status in await gateway.streams()] == sorted(STREAMS)
    await gateway.stop()


async def _reach(directory: Any, goal: "Counter[str]") -> None:
    """Wait until the directory has counted at least `goal`."""
    async with asyncio.timeout(LIMIT_S):
        while not await directory.counts.remote() >= goal:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
