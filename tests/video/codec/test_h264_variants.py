"""H.264 variants of cameras: entropy coders, slices, fields, references, packet layouts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import Decoder
from tests.video.codec import paff
from tests.video.scenes import Picture, decode, moving_square, write_video

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


def decode_variant(path: Path, settings: str) -> list[Frame]:
    pictures = moving_square(13, STEP, START)
    write_video(path, pictures, **{"x264-params": f"{COMMON}:{settings}"})
    info, *packets = open_source(str(path)).items()
    assert isinstance(info, StreamInfo)
    decoder = Decoder(info)
    frames = decode(decoder, [item for item in packets if isinstance(item, Packet)])
    assert not decoder.anomalies
    assert len(frames) == len(pictures)
    return frames


@pytest.mark.parametrize("container", ["mp4", "ts"])
@pytest.mark.parametrize("name", VARIANTS)
def test_motion_is_correct_for_every_variant(name: str, container: str, tmp_path: Path) -> None:
    motion, background = [], []
    for number, frame in enumerate(decode_variant(tmp_path / f"clip.{container}", VARIANTS[name])):
        signals = frame.signals
        assert signals.valid
        if signals.motion is None:
            assert signals.frame_type == "I"
            continue
        left, top = (START[0] + STEP[0] * number) // 16 + 1, START[1] // 16
        motion.append(np.median(signals.motion[top : top + 4, left : left + 2], axis=(0, 1)))
        background.append(np.abs(signals.motion[10:]).max())
    assert len(motion) >= 8
    assert np.median(motion, axis=0) == pytest.approx(STEP, abs=0.3)
    assert np.median(background) < 0.5


def interlaced(step: tuple[int, int], start: tuple[int, int]) -> list[Picture]:
    """Interlaced pictures: odd lines are captured half a frame after even lines."""
    pictures = moving_square(26, (step[0] // 2, step[1] // 2), start)
    pairs = zip(pictures[::2], pictures[1::2], strict=True)
    odd = np.arange(pictures[0].shape[0])[:, None, None] % 2 == 1
    return [np.where(odd, late, early)[:224] for early, late in pairs]


@pytest.mark.parametrize("layout", ["packet per field", "packet per frame"])
@pytest.mark.parametrize("step", [(4, 0), (0, 4), (4, -2)])
def test_two_field_pictures_give_one_frame_with_correct_motion(
    layout: str, step: tuple[int, int]
) -> None:
    info, packets = paff.encode_fields(interlaced(step, START), 25.0, gop=50)
    if layout == "packet per frame":
        pairs = zip(packets[::2], packets[1::2], strict=True)
        packets = [replace(upper, data=upper.data + lower.data) for upper, lower in pairs]
    decoder = Decoder(info)
    frames = decode(decoder, packets)
    assert not decoder.anomalies
    assert [round(frame.time * 25) for frame in frames] == list(range(13))
    first, *others = [frame.signals for frame in frames]
    assert first.frame_type == "I"
    for number, signals in enumerate(others, start=1):
        assert signals.valid
        assert signals.motion is not None
        left, top = ((START[side] + step[side] * number) // 16 + 1 for side in range(2))
        inside = signals.motion[top : top + 2, left : left + 2]
        assert np.median(inside, axis=(0, 1)) == pytest.approx(step, abs=0.3)
        assert np.abs(signals.motion[:, :4]).max() < 0.5


@pytest.mark.parametrize("lost", [(4,), (5,), (4, 5)])
def test_lost_fields_do_not_stop_the_stream(lost: tuple[int, ...]) -> None:
    info, packets = paff.encode_fields(interlaced((4, 0), START), 25.0, gop=6)
    decoder = Decoder(info)
    frames = decode(decoder, [packet for n, packet in enumerate(packets) if n not in lost])
    assert len(frames) >= 12
    assert frames[-1].signals.valid
    if len(lost) == 2:
        assert decoder.anomalies["packets lost"] == 1
        assert not all(frame.signals.valid for frame in frames)
