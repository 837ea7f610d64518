"""`codecsight inspect`: the drawn video and the contact sheet."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from codecsight.cli.app import app
from codecsight.core.errors import CodecSightError

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


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodecSightError, match="no such file"):
        CliRunner().invoke(
            app, ["inspect", str(tmp_path / "no.mp4"), "-o", "x.mp4"], catch_exceptions=False
        )
