"""The recording process, started as in production."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from cluster.ports import free_port
from cluster.rtsp.server import RtspServer, available_transport
from codecsight.archive.spool import finished_segments
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.exit_codes import END_OF_SOURCE, STOPPED
from codecsight.video.capture.feed.client import FeedClient
from codecsight.video.capture.feed.protocol import CaptureStatus

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def feed() -> Iterator[Path]:
    """A short path for the socket; pytest's own folders can exceed its length limit."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "cam1.sock"


@pytest.fixture
def start(tmp_path: Path, feed: Path) -> Iterator[Start]:
    """Starts recording processes and kills them after the test."""
    children: list[subprocess.Popen[str]] = []

    def start_process(source: str, *options: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "codecsight.video.capture", "--stream", "cam1"),
                *("--source", source, "--spool", str(tmp_path), "--feed", str(feed), *options),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CODECSIGHT_LOG": "json"},
        )
        children.append(child)
        return child

    yield start_process
    for child in children:
        child.kill()
        child.wait()


def test_a_file_is_recorded_completely(clips: Path, tmp_path: Path, start: Start) -> None:
    child = start(str(clips / "bottles.mp4"), "--segment", "10")
    _, err = child.communicate(timeout=60)
    assert child.returncode == END_OF_SOURCE
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["stream"] for line in lines} == {"cam1"}
    assert lines[-1]["event"] == "ended"
    rows = [row for _, row in finished_segments(tmp_path / "cam1")]
    assert rows[-1].end - rows[0].start == pytest.approx(39.9, abs=0.3)


def test_the_source_can_be_given_by_an_environment_variable(
    clips: Path, tmp_path: Path, feed: Path
) -> None:
    command = [sys.executable, "-m", "codecsight.video.capture", "--stream", "cam1"]
    command += ["--spool", str(tmp_path), "--feed", str(feed)]
    environment = {**os.environ, "CODECSIGHT_SOURCE": str(clips / "bottles.mp4")}
    done = subprocess.run(command, env=environment, check=False, timeout=60, capture_output=True)
    assert done.returncode == END_OF_SOURCE, done.stderr
    assert len(list(finished_segments(tmp_path / "cam1"))) == 2
    del environment["CODECSIGHT_SOURCE"]
    without = subprocess.run(command, env=environment, check=False, timeout=60, capture_output=True)
    assert without.returncode == 2
    assert b"--source is missing" in without.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_finishes_the_segment_and_removes_the_socket(
    clips: Path, tmp_path: Path, feed: Path, start: Start, number: signal.Signals
) -> None:
    child = start(str(clips / "one_by_one.mp4"), "--paced", "--loop")
    items = FeedClient(feed).items()
    assert isinstance(
        next(item for item in items if not isinstance(item, CaptureStatus)), StreamInfo
    )
    first = next(item for item in items if isinstance(item, Packet))
    assert first.keyframe
    child.send_signal(number)
    rest = list(items)
    assert child.wait(20) == STOPPED
    assert isinstance(rest[-1], CaptureStatus)
    assert rest[-1].state == "ended"
    assert rest[-1].recorder["segments"] == 1
    assert not feed.exists()
    [(path, _)] = finished_segments(tmp_path / "cam1")
    assert path.exists()
    assert list((tmp_path / "cam1").glob("*.part")) == []


def test_an_attached_process_writes_its_status_and_ends_with_its_parent(
    clips: Path, tmp_path: Path, feed: Path
) -> None:
    command = [sys.executable, "-m", "codecsight.video.capture", "--stream", "cam1", "--attached"]
    command += ["--source", str(clips / "one_by_one.mp4"), "--paced", "--loop"]
    command += ["--spool", str(tmp_path), "--feed", str(feed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        rows = [json.loads(child.stdout.readline()) for _ in range(3)]
        assert rows[-1]["state"] == "live"
        assert set(rows[-1]) == {field.name for field in fields(CaptureStatus)}
        child.communicate(timeout=60)  # closes its standard input
        assert child.returncode == STOPPED


def test_a_reader_that_disconnects_does_not_stop_recording(
    clips: Path, feed: Path, start: Start
) -> None:
    child = start(str(clips / "bottles.mp4"), "--paced", "--loop")
    first = FeedClient(feed)
    next(first.items())
    first._socket.close()
    status = next(item for item in FeedClient(feed).items() if isinstance(item, CaptureStatus))
    assert status.state == "live"
    assert child.poll() is None


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("/nowhere/cam.mp4", (), "/nowhere/cam.mp4"),
        (__file__, (), "test_process.py"),
        ("CLIP", ("--stream", "a/b"), "not a stream name"),
        ("CLIP", ("--feed", "x" * 120), "at most 107 bytes"),
        ("CLIP", ("--segment", "-1"), "must be above 0"),
    ],
)
def test_a_failed_start_reports_its_cause_and_exits_with_2(
    clips: Path, start: Start, source: str, options: tuple[str, ...], message: str
) -> None:
    child = start(source.replace("CLIP", str(clips / "bottles.mp4")), *options)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 2
    assert message in err


def test_an_unreachable_camera_is_reported_as_down(feed: Path, start: Start) -> None:
    child = start("rtsp://127.0.0.1:9/nothing")
    items = FeedClient(feed).items()
    status = next(
        item for item in items if isinstance(item, CaptureStatus) and item.state == "down"
    )
    assert "refused" in status.detail.lower()
    child.terminate()
    started = time.monotonic()
    assert child.wait(20) == 0
    assert time.monotonic() - started < 10


@pytest.mark.rtsp
@pytest.mark.skipif(not available_transport(), reason="no RTSP server: see cluster/rtsp/server.py")
def test_a_lost_connection_finishes_the_segment_before_reconnecting(
    clips: Path, tmp_path: Path, feed: Path, start: Start
) -> None:
    with RtspServer(clips / "one_by_one.mp4", free_port()) as server:
        child = start(server.url, "--transport", server.transport)
        items = FeedClient(feed).items()
        first = next(item for item in items if isinstance(item, Packet) and item.keyframe)
        server.kill()
        disconnected = next(
            item
            for item in items
            if isinstance(item, CaptureStatus) and item.recorder["segments"] == 1
        )
        assert disconnected.state in ("down", "connecting")
        server.start()
        resumed = next(item for item in items if isinstance(item, Packet))
        assert resumed.keyframe
        child.terminate()
        assert child.wait(20) == 0
    segments = [segment for _, segment in finished_segments(tmp_path / "cam1")]
    assert len(segments) == 2
    assert segments[0].start <= first.capture_time <= segments[0].end < segments[1].start


def test_it_loads_no_model_no_ray_and_no_grpc() -> None:
    script = (
        "import sys, codecsight.video.capture.process; "
        "print(*{'torch', 'ray', 'grpc', 'transformers', 'minio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
