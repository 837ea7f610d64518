"""Probe of streams that are joined or cut in the middle: frame rates, pauses, rare key frames."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from codecsight.video import probe as probe_module
from codecsight.video.capture.source import SourceError, SourceOptions
from codecsight.video.probe import probe
from tests.video.scenes import moving_square, write_video

SCENE = moving_square(40, (4, 0), (8, 80))
TS_PACKET = 188


def _packets(source: Path, path: Path, kept: slice, delay: dict[int, float] | None = None) -> Path:
    """Copy the `kept` packets; those from number n on are `delay[n]` seconds later.

    They must have no B-frames.
    """
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        stream: Any = written.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            late = sum(seconds for first, seconds in (delay or {}).items() if number >= first)
            assert packet.pts is not None
            packet.pts += round(late / packet.time_base)
            packet.dts = packet.pts
        for packet in packets[kept]:
            packet.stream = stream
            written.mux(packet)
    return path


@pytest.mark.parametrize("b_frames", ["0", "2", "3"])
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_the_frame_rate_is_right_with_b_frames(
    tmp_path: Path, b_frames: str, seconds: float
) -> None:
    options = {"g": "16", "bf": b_frames, "b_strategy": "0", "sc_threshold": "0"}
    report = probe(str(write_video(tmp_path / "b.mp4", SCENE, rate=20, **options)), seconds)
    assert report.b_frames == (b_frames != "0")
    assert report.measured_fps == pytest.approx(20.0, rel=1e-6)
    assert report.seconds == pytest.approx(min(seconds, 2.0), abs=0.06)
    assert report.anomalies == {}


def test_pauses_are_told_and_left_out_of_the_frame_rate(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", SCENE, rate=20, g="10", bf="0")
    paused = _packets(whole, tmp_path / "paused.mkv", slice(None), {10: 3.0, 25: 7.0})
    report = probe(str(paused), seconds=60.0)
    assert report.measured_fps == pytest.approx(20.0, rel=1e-3)
    assert report.pauses == pytest.approx((3.05, 7.05), abs=1e-3)
    assert report.seconds == pytest.approx(2.0, rel=1e-3)
    assert any("up to 7 s (2 times)" in sentence for sentence in report.advice)


def test_a_camera_of_one_picture_in_five_seconds_has_no_pauses(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", SCENE[:8], rate=1, g="4", bf="0")
    slow = _packets(whole, tmp_path / "slow.mkv", slice(None), dict.fromkeys(range(1, 8), 4.0))
    report = probe(str(slow), seconds=60.0)
    assert report.measured_fps == pytest.approx(0.2)
    assert report.pauses == ()


def test_packets_before_the_first_key_frame_count_as_waiting_only(tmp_path: Path) -> None:
    options = {"g": "24", "bf": "0", "sc_threshold": "0"}
    whole = write_video(tmp_path / "whole.mkv", SCENE, rate=2, **options)
    joined = _packets(whole, tmp_path / "joined.mkv", slice(1, None))
    report = probe(str(joined), seconds=60.0)
    assert report.key_frame_wait_s == pytest.approx(11.5)
    assert report.frames == 16
    assert report.measured_fps == pytest.approx(2.0)
    assert report.anomalies == {}
    assert any("first key frame came after 12 s" in sentence for sentence in report.advice)


@contextlib.contextmanager
def _served(file: Path) -> Iterator[str]:
    """A TCP server that sends the file to its first client and then nothing; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sent: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                sent.append(listener.accept()[0])
                sent[0].sendall(file.read_bytes())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        for client in sent:
            client.close()
    thread.join(5)


def test_a_camera_joined_in_a_long_gop_is_not_called_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "KEY_FRAME_S", 0.5)
    whole = write_video(tmp_path / "whole.mkv", SCENE, rate=2, g="100", bf="0", sc_threshold="0")
    joined = _packets(whole, tmp_path / "joined.mkv", slice(1, None))
    stages: list[str] = []
    with _served(joined) as url, pytest.raises(SourceError) as error:
        probe(url, 1.0, SourceOptions(timeout_s=3.0), on_stage=stages.append)
    assert "packets of H.264 video came" in str(error.value)
    assert "no key frame" in str(error.value)
    assert "I-frame interval" in str(error.value)
    assert stages == ["connecting", "waiting for a key frame"]


def test_a_stream_without_parameter_sets_is_waited_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "CONNECT_S", 2.0)
    monkeypatch.setattr(probe_module, "KEY_FRAME_S", 0.5)
    whole = write_video(tmp_path / "whole.ts", SCENE, rate=2, g="100", bf="0", sc_threshold="0")
    data = whole.read_bytes()
    tables, later = data[: 3 * TS_PACKET], data[len(data) // TS_PACKET * 3 // 4 * TS_PACKET :]
    (tmp_path / "joined.ts").write_bytes(tables + later)
    stages: list[str] = []
    with _served(tmp_path / "joined.ts") as url, pytest.raises(SourceError) as error:
        probe(url, 1.0, SourceOptions(timeout_s=0.5), on_stage=stages.append)
    assert "its h264 video has no picture size: no key frame came" in str(error.value)
    assert stages == ["connecting", "waiting for a key frame"]
