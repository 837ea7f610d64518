"""H.264 as different cameras send it: entropy coders, slices, fields, references, packings."""

from pathlib import Path

import numpy as np
import pytest

from codecsight.video.decoder import Decoder
from codecsight.video.frame import Frame
from codecsight.video.packet import Packet, StreamInfo
from codecsight.video.source import open_source
from tests.video.scenes import decode, moving_square, write_video

START = (112, 80)
STEP = (4, 0)
COMMON = "keyint=50:scenecut=0:bframes=0:rc-lookahead=0"
VARIANTS = {
    "CAVLC": "cabac=0:ref=1",
    "CABAC": "cabac=1:ref=1",
    "one 8x8 transform": "cabac=1:ref=1:8x8dct=1",
    "four slices": "slices=4:ref=1",
    "slices of 500 bytes": "slice-max-size=500:ref=1",
    "fields (MBAFF)": "interlaced=1:ref=1",
    "three references": "ref=3:mixed-refs=1",
    "weighted prediction": "weightp=2:ref=1",
    "16x16 blocks alone": "partitions=none:ref=1",
    "open GOP": "bframes=2:b-adapt=0:open-gop=1:keyint=6:rc-lookahead=4",
}


def film(path: Path, settings: str) -> list[Frame]:
    shown = moving_square(13, STEP, START)
    write_video(path, shown, **{"x264-params": f"{COMMON}:{settings}"})
    info, *packets = open_source(str(path)).items()
    assert isinstance(info, StreamInfo)
    decoder = Decoder(info)
    frames = decode(decoder, [item for item in packets if isinstance(item, Packet)])
    assert not decoder.anomalies
    assert len(frames) == len(shown)
    return frames


@pytest.mark.parametrize("container", ["mp4", "ts"])
@pytest.mark.parametrize("name", VARIANTS)
def test_motion_is_right_however_the_camera_codes_it(
    name: str, container: str, tmp_path: Path
) -> None:
    motion, away = [], []
    for number, frame in enumerate(film(tmp_path / f"clip.{container}", VARIANTS[name])):
        signals = frame.signals
        assert signals.valid
        if signals.motion is None:
            assert signals.frame_type == "I"
            continue
        left, top = (START[0] + STEP[0] * number) // 16 + 1, START[1] // 16
        motion.append(np.median(signals.motion[top : top + 4, left : left + 2], axis=(0, 1)))
        away.append(np.abs(signals.motion[10:]).max())
    assert len(motion) >= 8
    assert np.median(motion, axis=0) == pytest.approx(STEP, abs=0.3)
    assert np.median(away) < 0.5
