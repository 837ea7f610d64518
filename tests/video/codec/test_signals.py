"""Motion and intra signals, compared with scenes of known motion."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.signals import BLOCK
from tests.video.scenes import (
    RATE,
    SIDE,
    Picture,
    decode,
    encode,
    moving_square,
    texture,
    write_video,
)

STEPS = [(4, 0), (-3, 0), (0, 2), (-2, -3)]
START = (112, 80)


def encode_and_decode(pictures: list[Picture], **profile: object) -> list[Frame]:
    info, packets = encode(pictures, **profile)
    decoder = Decoder(info)
    frames = decode(decoder, packets)
    assert not decoder.anomalies
    assert len(frames) == len(pictures)
    return frames


def inside(frame: Frame, step: tuple[int, int]) -> tuple[slice, slice]:
    """The blocks inside the square in this frame and in the frame before."""
    index = round(frame.time * RATE)
    corner = [START[axis] + step[axis] * index for axis in (0, 1)]
    first = [-(-max(at, at - by) // BLOCK) for at, by in zip(corner, step, strict=True)]
    last = [(min(at, at - by) + SIDE) // BLOCK for at, by in zip(corner, step, strict=True)]
    return slice(first[1], last[1]), slice(first[0], last[0])


def medians(frames: list[Frame], step: tuple[int, int]) -> NDArray[np.float64]:
    """The square's median motion in each frame except key frames, [frames, 2]."""
    medians_xy = []
    for frame in frames:
        if frame.signals.motion is not None:
            blocks = frame.signals.motion[inside(frame, step)].reshape(-1, 2)
            assert len(blocks) >= 4
            medians_xy.append(np.median(blocks, axis=0))
    return np.array(medians_xy)


@pytest.mark.parametrize("b_frames", [0, 1, 3])
@pytest.mark.parametrize("step", STEPS)
def test_motion_is_the_contents_displacement_per_frame(
    step: tuple[int, int], b_frames: int
) -> None:
    frames = encode_and_decode(moving_square(13, step, START), b_frames=b_frames, gop=50)
    kinds = {frame.signals.frame_type for frame in frames[1:]}
    assert kinds == ({"P", "B"} if b_frames else {"P"})
    motion = medians(frames, step)
    assert len(motion) == 12
    assert np.median(motion, axis=0) == pytest.approx(step, abs=0.15)
    assert (
        np.abs(motion - step).max() < 1.0
    )  # a B-frame's cheapest vector is not always the true motion


def test_a_b_frame_that_others_refer_to_counts_as_a_reference(tmp_path: Path) -> None:
    settings = "keyint=50:bframes=3:b-adapt=0:b-pyramid=normal:ref=2:rc-lookahead=4"
    path = write_video(
        tmp_path / "pyramid.mp4",
        moving_square(13, (4, 0), START),
        **{"x264-params": settings},
    )
    info, *packets = open_source(str(path)).items()
    assert isinstance(info, StreamInfo)
    frames = decode(Decoder(info), [item for item in packets if isinstance(item, Packet)])
    motion = medians(frames, (4, 0))
    assert "".join(frame.signals.frame_type for frame in frames) == "IBBBPBBBPBBBP"
    assert np.median(motion, axis=0) == pytest.approx((4, 0), abs=0.15)
    assert np.abs(motion - (4, 0)).max() < 2.5  # a P-frame may choose its second reference


def test_motion_is_zero_outside_the_square() -> None:
    step = (4, 0)
    for frame in encode_and_decode(moving_square(12, step, START), gop=50)[1:]:
        motion = frame.signals.motion
        assert motion is not None
        rows, cols = inside(frame, step)
        speed = np.linalg.norm(motion, axis=-1)
        speed[max(0, rows.start - 2) : rows.stop + 2, max(0, cols.start - 2) : cols.stop + 2] = 0
        assert speed.max() < 0.5


def test_a_static_scene_has_neither_motion_nor_intra_blocks() -> None:
    static = [texture(240, 320, 1)] * 10
    for frame in encode_and_decode(static, b_frames=2)[1:]:
        assert frame.signals.motion is not None
        assert frame.signals.intra is not None
        assert np.abs(frame.signals.motion).max() < 0.3
        assert not frame.signals.intra.any()


def test_a_key_frame_has_no_motion_signals() -> None:
    frames = encode_and_decode(moving_square(12, (4, 0), START), gop=5)
    keys = [frame.signals for frame in frames if frame.signals.frame_type == "I"]
    assert len(keys) == 3
    assert all(signals.motion is None and signals.intra is None for signals in keys)


def test_new_content_is_coded_intra() -> None:
    pictures = [texture(240, 320, 1) for _ in range(8)]
    for picture in pictures[4:]:
        picture[16:64, 16:80] = (250, 20, 20)
    signals = encode_and_decode(pictures, crf=18.0)[4].signals
    assert signals.intra is not None
    assert signals.intra[1:4, 1:5].mean() > 0.6
    assert signals.intra[8:, 10:].mean() < 0.05


def test_a_p_frame_without_vectors_is_entirely_intra() -> None:
    rng = np.random.default_rng(7)
    pictures = [rng.integers(0, 255, (64, 96, 3)).astype(np.uint8) for _ in range(3)]
    signals = encode_and_decode(pictures, crf=10.0)[1].signals
    assert signals.frame_type == "P"
    assert signals.intra is not None
    assert signals.motion is not None
    assert signals.intra.mean() > 0.9
    assert not signals.motion[signals.intra == 1].any()


def test_the_grid_covers_sizes_that_are_not_a_multiple_of_a_block() -> None:
    signals = encode_and_decode([texture(90, 170, 3)] * 3)[1].signals
    assert signals.motion is not None
    assert signals.intra is not None
    assert signals.motion.shape == (6, 11, 2)
    assert signals.intra.shape == (6, 11)
    assert signals.motion.dtype == signals.intra.dtype == np.float32
    assert not signals.intra.any()


@pytest.mark.parametrize("codec", ["hevc", "mjpeg"])
def test_a_codec_without_motion_vectors_has_no_signals(codec: str) -> None:
    for frame in encode_and_decode(moving_square(6, (4, 0), START), codec=codec):
        assert frame.signals.motion is None
        assert frame.signals.intra is None
        assert frame.signals.size > 0


def test_mpeg4_part_2_has_motion_signals() -> None:
    for frame in encode_and_decode(
        moving_square(6, (4, 0), START), codec="mpeg4", bitrate=4_000_000
    )[1:]:
        assert frame.signals.motion is not None
        blocks = frame.signals.motion[inside(frame, (4, 0))].reshape(-1, 2)
        assert np.median(blocks, axis=0) == pytest.approx((4, 0), abs=0.3)
