"""`codecsight doctor`: the verdict, noise and motion told apart, and costs without compilation."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codecsight.change.warm_up import warm_up
from codecsight.cli.diagnosis.display import verdict
from codecsight.cli.diagnosis.tracking import TrackingStatistics
from codecsight.cli.doctor import doctor
from codecsight.video.probe import probe
from codecsight.video.report import Finding, findings
from tests.video.scenes import Picture, moving_square, texture, write_video

CAMERA = {"g": "20", "bf": "0", "sc_threshold": "0", "refs": "1", "preset": "veryfast"}
WIDE = texture(200, 480, 3)


def _examine(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """The row of the tracking statistics, and all findings."""
    tracking = TrackingStatistics("tracked")
    report = probe(str(path), 60.0, on_frame=tracking.add)
    return tracking.row(), [*findings(report), *tracking.findings()]


def _words(found: list[Finding]) -> set[str]:
    return {finding.short for finding in found}


def _noisy(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("sigma", "quality"), [(16.0, "18"), (28.0, "23")])
def test_a_noisy_picture_of_a_fixed_camera_does_not_move(
    tmp_path: Path, sigma: float, quality: str
) -> None:
    rng = np.random.default_rng(4)
    pictures = [_noisy(WIDE[:, :240], sigma, rng) for _ in range(45)]
    row, found = _examine(write_video(tmp_path / "n.mp4", pictures, 20, crf=quality, **CAMERA))
    assert row["camera_moves"] == 0.0
    assert row["noise"] == pytest.approx(sigma, rel=0.5)
    assert "the picture is noisy" in _words(found)
    assert "the camera moves" not in _words(found)


@pytest.mark.parametrize("step", [(2, 0), (5, 0), (4, -4)])
def test_a_moving_camera_is_not_noisy(tmp_path: Path, step: tuple[int, int]) -> None:
    forth, back = step  # by turns: a camera that is shaken if they differ in sign
    lefts = np.cumsum([40, *([forth, back or forth] * 22)]).clip(0, 239)
    pictures = [WIDE[:, left : left + 240] for left in lefts]
    row, found = _examine(write_video(tmp_path / "m.mp4", pictures, 20, **CAMERA))
    assert row["camera_moves"] > 0.8
    assert row["noise"] is None
    assert "the camera moves" in _words(found)
    assert not any("noisy" in words for words in _words(found))


def _with_clock(top: int, left: int) -> list[Picture]:
    """64 pictures of 192 x 256 pixels in which 22 x 54 pixels change each time."""
    rng = np.random.default_rng(5)
    pictures = [WIDE[:192, :256].copy() for _ in range(64)]
    for picture in pictures:
        clock = 255 * rng.integers(0, 2, (22, 18, 1)).repeat(3, axis=1)
        picture[top : top + 22, left : left + 54] = clock
    return pictures


def test_a_place_that_always_changes_is_proposed_to_be_ignored(tmp_path: Path) -> None:
    row, found = _examine(write_video(tmp_path / "a.mp4", _with_clock(165, 133), 4, **CAMERA))
    (polygon,) = row["ignore"]
    assert polygon[0] == pytest.approx((0.5, 5 / 6), abs=1e-3)
    assert polygon[2] == pytest.approx((0.75, 1.0), abs=1e-3)
    advice = next(each.advice for each in found if each.short.startswith("ignore"))
    assert json.loads(advice.partition("ignore: ")[2]) == [[list(point) for point in polygon]]


@pytest.mark.parametrize("why", ["others move", "in the middle"])
def test_places_where_something_may_happen_are_not_proposed(tmp_path: Path, why: str) -> None:
    pictures = _with_clock(*((69, 101) if why == "in the middle" else (165, 133)))
    for number, picture in enumerate(pictures):
        if why == "others move":
            picture[16:64, 2 * number : 2 * number + 64] = texture(48, 64, number % 4)
    row, found = _examine(write_video(tmp_path / "b.mp4", pictures, 4, **CAMERA))
    assert row["changed_share"] > 0.03
    assert row["ignore"] == []
    assert not any(each.short.startswith("ignore") for each in found)


def test_the_verdict_comes_first_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [texture(900, 1600, 7)] * 32
    doctor(str(write_video(tmp_path / "main.mp4", pictures, 20, **CAMERA)))
    first, *table = capsys.readouterr().out.splitlines()
    streams = r"([\d.]+ streams? per core|[\d.]+ cores per stream)"
    assert re.fullmatch(rf"fine: H\.264 900p20, GOP 1 s, {streams}; use the sub-stream", first)
    text = " ".join(" ".join(table).split())
    for line in (
        "measured 1.6 s, 32 frames",
        "video H.264 High, 1600x900 ",
        "frame rate 20 per second, declared 20",
        "key frames GOP 1 s (20 frames)",
        "frame types 94% P, 6.2% I",
        "codec signals motion vectors, intra blocks",
        "camera motion none",
        "1600x900 is larger than the model's input",
    ):
        assert line in text
    assert re.search(r"CPU per frame [\d.]+ ms decoding, [\d.]+ ms finding changes", text)


def test_json_has_the_documented_keys_and_only_those(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "square.mp4", moving_square(40, (4, 0), (8, 80)), 10, **CAMERA)
    doctor(str(path), as_json=True)
    row = json.loads(capsys.readouterr().out)
    assert doctor.__doc__ is not None
    documented = doctor.__doc__.partition("one object:")[2].partition("What is unknown")[0]
    names = re.sub(r"\([^)]*\)", "", documented).replace(";", ",").split(",")
    assert set(row) == {name.strip(" \n.") for name in names}
    assert row["verdict"].startswith("fine: H.264 320x240 at 10 fps, GOP 2 s, ")
    assert row["fine"] is True
    assert row["large_enough"] is True


def test_what_a_short_time_cannot_tell_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "short.mp4", [WIDE[:, :240]] * 2, 10, **CAMERA)
    doctor(str(path), as_json=True)
    row = json.loads(capsys.readouterr().out)
    unknown = ("kept_share", "changed_share", "tracking_ms", "cpu_per_stream", "streams_per_core")
    assert [row[name] for name in unknown] == [None] * 5
    assert row["verdict"] == "fine: H.264 240x200 at 10 fps, GOP over 0.2 s"
    doctor(str(path))
    assert "cells sent unknown: too short" in " ".join(capsys.readouterr().out.split())


def test_one_frame_is_not_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor(str(write_video(tmp_path / "one.mp4", [WIDE[:, :240]], 10, **CAMERA)))
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("needs attention: H.264 240x200; only one frame came source")
    assert "1 frame " in text
    assert "frame rate unknown" in text


def test_a_stream_of_key_frames_says_so(tmp_path: Path) -> None:
    tracking = TrackingStatistics("tracked")
    path = write_video(tmp_path / "all.mkv", [WIDE[:, :240]] * 12, 10, codec="mjpeg")
    report = probe(str(path), on_frame=tracking.add)
    row = asdict(report) | {"streams_per_core": 30.4}
    found = findings(report)
    assert verdict(row, found) == (
        "fine: MJPEG 240x200 at 10 fps, key frames only, 30 streams per core; set the camera to "
        "H.264"
    )


def test_a_picture_smaller_than_the_models_input_is_not_fine(tmp_path: Path) -> None:
    path = write_video(tmp_path / "tiny.mp4", [WIDE[:64, :80]] * 30, 10, **CAMERA)
    row, found = _examine(path)
    assert row["large_enough"] is False
    assert not all(each.minor for each in found)
    assert "the picture is smaller than the model's input" in _words(found)


def test_a_serious_finding_comes_before_a_minor_one() -> None:
    row = {
        "codec": "hevc", "shown_sizes": [(704, 576)], "measured_fps": 12.5, "polled_s": 0.0,
        "frames": 650, "gop_frames": (500, 150), "gop_seconds": (40.0, 12.0),
        "seconds": 52.0, "key_frame_wait_s": 0.0, "streams_per_core": 0.4,
    }  # fmt: skip
    found = [Finding("small", "..", minor=True), Finding("large", ".."), Finding("", ".", True)]
    assert verdict(row, found) == (
        "needs attention: H.265 704x576 at 12.5 fps, GOP 12-40 s, 2.5 cores per stream; large; "
        "small"
    )


_SIGNATURES = """
import gc, sys
from numba.core.dispatcher import Dispatcher
from codecsight.change.warm_up import warm_up
from codecsight.cli.diagnosis.tracking import TrackingStatistics
from codecsight.video.probe import probe

def compiled():
    functions = (each for each in gc.get_objects() if isinstance(each, Dispatcher))
    return {(each.py_func.__qualname__, str(types)) for each in functions
            if each.py_func.__module__.startswith("codecsight") for types in each.signatures}

warm_up()
before = compiled()
assert len(before) > 20
for path in sys.argv[1:]:
    probe(path, 60.0, on_frame=TrackingStatistics("tracked").add)
    assert compiled() == before, (path, compiled() - before)
"""


def test_nothing_is_compiled_while_costs_are_measured(tmp_path: Path) -> None:
    square = write_video(tmp_path / "a.mp4", moving_square(40, (4, 0), (8, 80)), 10, **CAMERA)
    pan = [WIDE[:, left : left + 240] for left in range(0, 200, 4)]
    moving = write_video(tmp_path / "b.mp4", pan, 10, **CAMERA)
    other = write_video(tmp_path / "c.mkv", pan[:30], 10, codec="mjpeg")
    command = [sys.executable, "-c", _SIGNATURES, *map(str, (square, moving, other))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, run.stderr


def test_every_policy_can_be_warmed_up() -> None:
    for policy in ("published", "random"):
        warm_up(policy)
