"""`codecsight inspect`: the drawn video and the contact sheet."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from codecsight.cli.app import app
from codecsight.core.errors import CodecSightError
from tests.small_disk import small_disk

CAMERA = "world://street?condition=pan&seed=2&width=160&height=96&seconds=5"


def test_a_video_and_a_contact_sheet_are_written(tmp_path: Path) -> None:
    video, sheet = tmp_path / "out.mp4", tmp_path / "out.png"
    done = CliRunner().invoke(
        app, ["inspect", CAMERA, "-o", str(video), "--contact-sheet", str(sheet), "--seconds", "4"]
    )
    assert done.exit_code == 0, done.output
    with av.open(str(video), "r") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 41
    assert (frames[0].width, frames[0].height) == (160, 96 + 18)
    assert frames[-1].time == pytest.approx(4.0, abs=0.05)
    stills = np.asarray(Image.open(sheet))
    assert stills.shape[1] == 3 * 160
    assert stills.std() > 10


def test_a_camera_that_sends_nothing_ends_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codecsight.cli.inspect.CONNECT_S", 0.5)
    url = "rtsp://admin:Geh%2Feim7@127.0.0.1:9/x"  # pragma: allowlist secret
    with pytest.raises(CodecSightError, match=r"rtsp://\*\*\*@127.0.0.1:9/x: .*refused") as caught:
        CliRunner().invoke(
            app, ["inspect", url, "-o", str(tmp_path / "x.mp4")], catch_exceptions=False
        )
    assert "eim7" not in str(caught.value)


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodecSightError, match="no such file"):
        CliRunner().invoke(
            app, ["inspect", str(tmp_path / "no.mp4"), "-o", "x.mp4"], catch_exceptions=False
        )


def test_a_video_shorter_than_a_slot_still_gives_a_contact_sheet(tmp_path: Path) -> None:
    video, sheet = tmp_path / "a:b.mkv", tmp_path / "x:y.PNG"
    source = CAMERA.replace("seconds=5", "seconds=0.5")
    arguments = ["inspect", source, "-o", str(video), "--contact-sheet", str(sheet)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert np.asarray(Image.open(sheet)).shape == (96 + 18, 3 * 160, 3)
    with av.open(f"file:{video}", "r") as container:
        assert container.format.name.startswith("matroska")
        assert len(list(container.decode(video=0))) == 5


@pytest.mark.parametrize(
    ("video", "sheet", "message"),
    [
        ("x.avi", "x.png", r"x.avi: the video must be an .mp4 or .mkv file"),
        ("x.mp4", "x.txt", r"x.txt: the contact sheet must be an .png or .jpg"),
        ("none/x.mp4", "x.png", r"x.mp4: there is no folder .*none; create it"),
        ("x.mp4", "none/x.png", r"x.png: there is no folder .*none; create it"),
        ("folder.mp4", "x.png", r"folder.mp4: this is a folder; name a file in it"),
        ("/proc/x.mp4", "x.png", r"/proc/x.mp4: can't write"),
        ("/dev/full", "x.png", r"/dev/full: the video must be an .mp4"),
    ],
)
def test_files_that_cannot_be_written_are_named_before_the_work(
    tmp_path: Path, video: str, sheet: str, message: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    arguments = ["-o", str(tmp_path / video), "--contact-sheet", str(tmp_path / sheet)]
    with pytest.raises(CodecSightError, match=message):
        CliRunner().invoke(app, ["inspect", CAMERA, *arguments], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_a_full_disk_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "full", "8k") as disk:
        with pytest.raises(CodecSightError, match=r"x.mp4: can't write it: No space left"):
            CliRunner().invoke(
                app, ["inspect", CAMERA, "-o", str(disk / "x.mp4")], catch_exceptions=False
            )
        assert list(disk.iterdir()) == []
