"""How decoded pictures are shown: display matrices, sample aspect ratios, changes in mid-stream."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from codecsight.core.orientation import UPRIGHT, Orientation
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.recording.segment_file import SegmentFile
from tests.video.display_files import (
    CORNERS,
    difference,
    filtered,
    frames_of,
    shown,
    spliced,
    write_new_headers,
    write_shown,
)
from tests.video.scenes import encode, texture

TURNED = "h264_metadata=display_orientation=insert:rotate=90"


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_container_turns_and_mirrors_the_picture(
    tmp_path: Path, degrees: int, hflip: bool, suffix: str
) -> None:
    frames = frames_of(write_shown(tmp_path / f"a.{suffix}", degrees, hflip))
    expected = np.rot90(CORNERS, degrees // 90)
    expected = expected[:, ::-1] if hflip else expected
    assert len(frames) == 3
    for frame in frames:
        assert difference(shown(frame), expected) < 4
        assert (frame.height, frame.width) == expected.shape[:2]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_archive_keeps_the_display_matrix(tmp_path: Path, suffix: str) -> None:
    source = write_shown(tmp_path / f"a.{suffix}", 90, hflip=True)
    info, first, *rest = open_source(str(source)).items()
    assert isinstance(info, StreamInfo)
    assert not isinstance(first, StreamInfo)
    segment = SegmentFile(tmp_path / "segment.mkv", info, first, "camera")
    for packet in (first, *rest):
        assert not isinstance(packet, StreamInfo)
        segment.write(packet)
    segment.close()
    recorded = frames_of(tmp_path / "segment.mkv")
    assert len(recorded) == 3
    for frame in recorded:
        assert difference(shown(frame), np.rot90(CORNERS)[:, ::-1]) < 4


def test_the_bitstream_turns_the_picture_until_a_key_frame_without_a_message() -> None:
    turned, upright = filtered(TURNED, [CORNERS] * 4), encode([CORNERS] * 3, rate=10.0)
    frames = list(decode_stream(spliced(turned, upright)))
    assert len(frames) == 7
    for frame in frames[:4]:
        assert difference(shown(frame), np.rot90(CORNERS)) < 4
    for frame in frames[4:]:
        assert difference(shown(frame), CORNERS) < 4


def test_the_bitstream_overrules_the_container() -> None:
    info, packets = filtered(TURNED, [CORNERS] * 2)
    upside_down = replace(info, orientation=Orientation(flip_x=True, flip_y=True))
    for frame in decode_stream([upside_down, *packets]):
        assert difference(shown(frame), np.rot90(CORNERS)) < 4


def test_a_container_without_a_matrix_leaves_the_picture_upright(tmp_path: Path) -> None:
    info, *_ = open_source(str(write_shown(tmp_path / "a.mp4"))).items()
    assert isinstance(info, StreamInfo)
    assert info.orientation == UPRIGHT
    assert info.shown_size == (128, 96)


@pytest.mark.parametrize("degrees", [0, 90])
def test_pixels_that_are_not_square_widen_the_picture(tmp_path: Path, degrees: int) -> None:
    path = write_shown(tmp_path / "a.mp4", degrees, aspect=Fraction(4, 3))
    size = (171, 96) if degrees == 0 else (96, 171)
    info, *_ = open_source(str(path)).items()
    assert isinstance(info, StreamInfo)
    assert info.shown_size == size
    assert {frame.shown_size for frame in frames_of(path)} == {size}


def test_a_container_may_declare_the_shape_of_pixels_that_the_codec_does_not() -> None:
    info, packets = encode([CORNERS] * 2)
    wide = replace(info, sample_aspect=Fraction(2))
    assert {frame.shown_size for frame in decode_stream([wide, *packets])} == {(256, 96)}


def test_the_shape_of_pixels_may_change_in_mid_stream() -> None:
    wide = filtered("h264_metadata=sample_aspect_ratio=3/2", [CORNERS] * 3)
    items = spliced(encode([CORNERS] * 2, rate=10.0), wide)
    sizes = [frame.shown_size for frame in decode_stream(items)]
    assert sizes == [(128, 96)] * 2 + [(192, 96)] * 3


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_the_size_may_change_in_mid_stream(codec: str) -> None:
    small, large = (
        encode([texture(*size, 1)] * 3, rate=10.0, codec=codec) for size in ((96, 128), (192, 160))
    )
    frames = list(decode_stream(spliced(small, large)))
    assert [frame.shown_size for frame in frames] == [(128, 96)] * 3 + [(160, 192)] * 3
    assert all(frame.signals.valid for frame in frames)


@pytest.mark.parametrize("exif", range(1, 9))
def test_a_jpegs_exif_data_turns_the_picture(exif: int) -> None:
    jpeg, image = io.BytesIO(), Image.fromarray(CORNERS)
    data = image.getexif()
    data[0x0112] = exif
    image.save(jpeg, "JPEG", exif=data, quality=95)
    reference = np.asarray(ImageOps.exif_transpose(Image.open(jpeg)))
    tick = Fraction(1, 10)
    info = StreamInfo("mjpeg", b"", 128, 96, 10.0, tick)
    (frame,) = decode_stream([info, Packet(jpeg.getvalue(), 0, 0, 1, tick, True, 0.0)])
    assert difference(shown(frame), reference) < 4


@pytest.mark.parametrize("suffix", ["flv", "mov", "mp4"])
def test_codec_headers_may_change_in_mid_stream(tmp_path: Path, suffix: str) -> None:
    items = list(open_source(str(write_new_headers(tmp_path / f"a.{suffix}"))).items())
    infos = [item for item in items if isinstance(item, StreamInfo)]
    # Probing a short FLV file reads beyond the change, so its first size may be the second one.
    assert (infos[-1].width, infos[-1].height) == (160, 240)
    assert items.index(infos[-1]) == 1 + 20
    frames = list(decode_stream(items))
    assert [frame.shown_size for frame in frames] == [(320, 240)] * 20 + [(160, 240)] * 20
    assert all(frame.signals.valid for frame in frames)
