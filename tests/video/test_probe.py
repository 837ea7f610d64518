"""Probe: measured properties of a source, and advice."""

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import pytest

from codecsight.video import probe as probe_module
from codecsight.video.capture.source import SourceError, SourceOptions
from codecsight.video.probe import probe
from tests.video.display_files import write_new_headers, write_shown
from tests.video.scenes import moving_square, texture, write_video

SCENE = moving_square(50, (4, 0), (8, 80))
CAMERA = {"g": "10", "bf": "0", "sc_threshold": "0"}


def test_a_well_configured_camera_gets_no_advice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "good.mp4", SCENE, rate=10, **CAMERA)
    report = probe(str(path))
    assert (report.codec, report.profile, report.width, report.height) == ("h264", "High", 320, 240)
    assert report.frames == 50
    assert report.measured_fps == pytest.approx(10.0)
    assert report.seconds == pytest.approx(5.0)
    assert report.gop_frames == (10,) * 4
    assert report.gop_seconds == pytest.approx((1.0,) * 4)
    assert report.frame_types == {"I": 5, "P": 45}
    assert report.bitrate == pytest.approx(8 * path.stat().st_size / 5, rel=0.15)
    assert report.motion
    assert report.intra
    assert not report.b_frames
    assert report.decode_ms > 0
    assert report.streams_per_core == pytest.approx(1000 / (report.decode_ms * 10))
    assert report.anomalies == {}
    assert report.advice == []


def test_a_report_is_json_serialisable(tmp_path: Path) -> None:
    report = probe(str(write_video(tmp_path / "a.mp4", SCENE[:10], **CAMERA)))
    assert json.loads(json.dumps(asdict(report)))["codec"] == "h264"


def test_the_probe_ends_after_the_given_seconds(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", SCENE, rate=10, **CAMERA)
    assert probe(str(path), seconds=2.0).seconds == pytest.approx(2.0, abs=0.15)


def test_rare_key_frames_b_frames_and_large_pictures_get_advice(tmp_path: Path) -> None:
    large = [texture(816, 1456, 1)] * 12
    path = write_video(tmp_path / "bad.mp4", large, rate=1, bf="2", preset="ultrafast")
    advice = " ".join(probe(str(path), seconds=60.0).advice)
    assert "No second key frame came in 12 s" in advice
    assert "B-frames" in advice
    assert "sub-stream" in advice


def test_long_gops_are_reported_with_their_length(tmp_path: Path) -> None:
    path = write_video(tmp_path / "smart.mp4", SCENE, rate=1, **{**CAMERA, "g": "20"})
    report = probe(str(path), seconds=60.0)
    assert report.gop_seconds == (20.0, 20.0)
    assert any("20 s apart" in sentence for sentence in report.advice)


@pytest.mark.parametrize(
    ("codec", "message"), [("libx265", "can be read from H.265"), ("mjpeg", "by itself")]
)
def test_a_codec_without_motion_vectors_gets_advice(
    tmp_path: Path, codec: str, message: str
) -> None:
    path = write_video(tmp_path / "other.mkv", SCENE[:10], codec=codec)
    report = probe(str(path))
    assert not report.motion
    assert any(message in sentence for sentence in report.advice)


def test_a_missing_file_is_rejected_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        probe(str(tmp_path / "missing.mp4"))


def test_an_unreachable_camera_raises_an_error_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_module, "CONNECT_S", 0.5)
    options = SourceOptions(retry_min_s=0.05, retry_max_s=0.1)
    with pytest.raises(SourceError, match=r"rtsp://\*\*\*@127\.0\.0\.1:1/x: no picture.*refused"):
        probe("rtsp://user:secret@127.0.0.1:1/x", 0.1, options)  # pragma: allowlist secret


def test_a_turned_picture_is_reported_as_a_player_shows_it(tmp_path: Path) -> None:
    path = write_shown(tmp_path / "phone.mp4", -90, aspect=Fraction(4, 3))
    report = probe(str(path))
    assert (report.width, report.height) == (128, 96)
    assert report.orientation == "turned 90° clockwise"
    assert report.sample_aspect == "4:3"
    assert report.shown_sizes == ((96, 171),)


def test_a_change_of_size_is_reported(tmp_path: Path) -> None:
    report = probe(str(write_new_headers(tmp_path / "change.mp4")))
    assert report.shown_sizes == ((320, 240), (160, 240))
    assert report.frames == 40
    assert any("320x240, 160x240" in advice for advice in report.advice)


def test_a_slow_camera_gets_advice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "slow.mp4", SCENE[:20], rate=1, **CAMERA)
    advice = " ".join(probe(str(path), seconds=30.0).advice)
    assert "It sends 1 pictures per second, fewer than the 2 that are sampled" in advice
