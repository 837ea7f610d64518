"""A site's recording processes under the supervisor, as in production."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.recorders import recorder_specs
from cluster.site_runtime import worker_spec
from cluster.supervision.process_spec import Launch, ProcessState
from cluster.supervision.restart_policy import NEVER_RESTART
from cluster.supervision.supervisor import Supervisor
from codecsight.archive.spool import finished_segments
from codecsight.config import SiteConfig
from codecsight.config.shared_sections import ArchiveConfig
from codecsight.config.site_config import CameraConfig, CloudEndpoint

WAIT_S = 90
WORLD = "world://hall?width=160&height=120&gop=10"


def _config(folder: Path, url: str) -> SiteConfig:
    return SiteConfig(
        site="yard",
        cloud=CloudEndpoint(address="127.0.0.1:9"),
        spool=folder / "spool",
        archive=ArchiveConfig(url=f"dir:{folder / 'archive'}"),
        cameras={"gate": CameraConfig(url=url, segment_s=2)},
    )


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_end_of_the_source_ends_the_recording_for_good(tmp_path: Path) -> None:
    [spec] = recorder_specs(_config(tmp_path, f"{WORLD}&seconds=3"), tmp_path)
    with Supervisor() as supervisor:
        supervisor.start(spec)
        _wait(lambda: not supervisor.status()[0].running)
        [status] = supervisor.status()
    assert (status.state, status.restarts) == (ProcessState.FINISHED, 0)
    assert list(finished_segments(tmp_path / "spool" / "yard.gate"))


def test_a_suspended_recorder_is_killed_and_records_again(tmp_path: Path) -> None:
    [spec] = recorder_specs(_config(tmp_path, WORLD), tmp_path)
    spool = tmp_path / "spool" / "yard.gate"
    with Supervisor() as supervisor:
        supervisor.start(spec)
        _wait(lambda: list(finished_segments(spool)))
        pid = supervisor.status()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        _wait(lambda: supervisor.status()[0].restarts == 1)
        reason = supervisor.status()[0].reason
        assert reason == "frozen: neither a sign of life nor CPU time for 4 s"
        before = len(list(finished_segments(spool)))
        _wait(lambda: len(list(finished_segments(spool))) > before + 1)


def test_passwords_are_not_on_the_command_line(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    ref = {"file": str(secret)}
    config = _config(tmp_path, "rtsp://camera/stream")
    camera = {"url": "rtsp://camera/stream", "username": ref, "password": ref}
    config = SiteConfig.model_validate({**config.model_dump(), "cameras": {"gate": camera}})
    [spec] = recorder_specs(config, tmp_path)
    assert "hunter2" not in " ".join(spec.command)
    assert "hunter2" in spec.environment["CODECSIGHT_SOURCE"]
    assert "hunter2" not in repr(spec)


def test_sound_is_recorded_only_where_the_camera_says_so(tmp_path: Path) -> None:
    config = _config(tmp_path, WORLD)
    [silent] = recorder_specs(config, tmp_path)
    config.cameras["gate"] = CameraConfig(url=WORLD, audio=True)
    [loud] = recorder_specs(config, tmp_path)
    assert ("--audio" in silent.command, "--audio" in loud.command) == (False, True)


def test_no_process_inherits_the_secrets_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CAMERA_USER", "CAMERA_PASSWORD", "S3_ACCESS", "S3_SECRET"):
        monkeypatch.setenv(name, f"secret of {name}")
    archive = {
        "url": "s3://video?endpoint=127.0.0.1:9",
        "access_key": {"env": "S3_ACCESS"},
        "secret_key": {"env": "S3_SECRET"},
    }
    login = {"username": {"env": "CAMERA_USER"}, "password": {"env": "CAMERA_PASSWORD"}}
    cameras = {"gate": {"url": "rtsp://camera/stream", **login}, "yard": {"url": WORLD}}
    config = SiteConfig.model_validate(
        {**_config(tmp_path, WORLD).model_dump(), "archive": archive, "cameras": cameras}
    )
    worker = worker_spec(config, tmp_path, lambda _: None, dashboard=False)
    show = "import os; print(sorted(v for v in os.environ.values() if 'secret of' in v))"
    lines: list[bytes] = []
    for spec in (*recorder_specs(config, tmp_path), worker):
        shown = replace(
            spec, command=(sys.executable, "-c", show), prepare=lambda: nullcontext(Launch()),
            environment={}, on_line=lines.append, policy=NEVER_RESTART,
        )  # fmt: skip
        with Supervisor() as supervisor:
            supervisor.start(shown)
            _wait(lambda: not supervisor.status()[0].running)
    assert lines == [b"[]\n"] * 3
    with worker.prepare() as launch:
        assert "secret of S3_SECRET" in launch.first_input
        assert "secret of CAMERA_PASSWORD" not in launch.first_input
