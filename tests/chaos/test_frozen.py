"""Each process is frozen once (SIGSTOP): it is replaced, and the others are left alone."""

import signal
import time

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chaos.conftest import CAMERAS, Fleet

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ACTORS = ("ray::Camera", "ray::Uplink", "ray::Archiver", "ray::GpuWorker", "ray::Gateway",
          "ray::Directory")  # fmt: skip
HEALED_S = 60
"""Measured on 2 quiet cores: 11 to 18 s."""
RECORDERS = tuple(f"--stream s.{camera}" for camera in CAMERAS)


def freeze(process: psutil.Process) -> None:
    process.send_signal(signal.SIGSTOP)


def test_a_frozen_recorder_is_recording_again_within_ten_seconds(fleet: Fleet) -> None:
    before = fleet.pids(*RECORDERS, *ACTORS)
    frozen_at = time.time()
    freeze(fleet.processes(RECORDERS[0])[0])
    fleet.wait(lambda: fleet.pids(RECORDERS[0])[RECORDERS[0]] not in ([], before[RECORDERS[0]]))
    fleet.wait(lambda: fleet.report["recorders"]["gate"]["recorder"]["segments"] > 1)
    time.sleep(4)  # until they are archived
    assert fleet.recorded_gaps("gate", frozen_at - 5) < 10
    assert fleet.recorded_gaps("yard", frozen_at - 5) < 0.5
    after = fleet.pids(*RECORDERS, *ACTORS)
    assert {text for text in before if before[text] != after[text]} == {RECORDERS[0]}
    fleet.wait_for_new_answers()


def serving(fleet: Fleet) -> bool:
    """What the standard health service of gRPC reports."""
    with grpc.insecure_channel(fleet.address) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=9
        )
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def test_the_health_service_says_when_no_worker_responds(fleet: Fleet) -> None:
    assert serving(fleet)
    for worker in fleet.processes("ray::GpuWorker"):
        worker.kill()
    fleet.wait(lambda: not serving(fleet))
    fleet.wait(lambda: serving(fleet))
    fleet.wait_for_new_answers()


@pytest.mark.parametrize("actor", ACTORS)
def test_a_frozen_actor_is_replaced_and_nothing_else_is_touched(fleet: Fleet, actor: str) -> None:
    before, frozen_at = fleet.pids(*RECORDERS, *ACTORS), time.time()
    victim = fleet.processes(actor)[0]
    freeze(victim)
    others = [pid for pid in before[actor] if pid != victim.pid]

    def replaced() -> bool:
        now = fleet.pids(actor)[actor]
        return victim.pid not in now and len(now) == len(before[actor])

    fleet.wait(replaced)
    fleet.wait_for_new_answers()
    healed_s = time.time() - frozen_at
    after = fleet.pids(*RECORDERS, *ACTORS)
    assert set(others) <= set(after[actor])
    assert {text for text in before if before[text] != after[text]} == {actor}
    print(f"{actor}: answers again after {healed_s:.0f} s")
    assert healed_s < HEALED_S
    for camera in CAMERAS:
        assert fleet.recorded_gaps(camera, frozen_at - 5) < 0.5
