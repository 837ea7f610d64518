"""CameraEncoder: packet order, key frames, bit rate, and picture quality."""

import numpy as np
import pytest

from codecsight.core.errors import CodecSightError
from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.codec.resizer import Resizer
from tests.video.scenes import HEIGHT, START, WIDTH, decode, encode, moving_square

SCENE = moving_square(20, (4, 0), (8, 80))
CODECS = ["h264", "hevc", "mpeg4", "mjpeg"]


@pytest.mark.parametrize("codec", CODECS)
def test_without_b_frames_every_picture_returns_its_packet(codec: str) -> None:
    encoder = CameraEncoder(WIDTH, HEIGHT, 10.0, EncoderProfile(codec=codec))  # type: ignore[arg-type]
    for index, picture in enumerate(SCENE[:5]):
        (packet,) = encoder.encode(picture, index / 10, START + index)
        assert packet.time == pytest.approx(index / 10)
        assert packet.capture_time == START + index
    assert encoder.flush() == []


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4"])
def test_key_frames_come_once_per_gop(codec: str) -> None:
    pictures = SCENE[:7] + [255 - picture for picture in SCENE[7:]]
    _, packets = encode(pictures, codec=codec, gop=8)
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 8, 16]


def test_b_frames_come_in_decoding_order_with_their_capture_times() -> None:
    _, packets = encode(SCENE, b_frames=2)
    order_of_display = [round((packet.time or 0) * 25) for packet in packets]
    assert order_of_display[:7] == [0, 3, 1, 2, 6, 4, 5]
    assert sorted(order_of_display) == list(range(20))
    assert [round((packet.capture_time - START) * 25) for packet in packets] == order_of_display
    dts = [packet.dts for packet in packets]
    assert dts == sorted(dts, key=lambda value: value or 0)


@pytest.mark.parametrize("codec", CODECS)
def test_decoded_pictures_resemble_the_encoded_ones(codec: str) -> None:
    info, packets = encode(SCENE, codec=codec, bitrate=4_000_000)
    frames = decode(Decoder(info), packets)
    resizer = Resizer(WIDTH, HEIGHT)
    for picture, frame in zip(SCENE, frames, strict=True):
        error = resizer.rgb(frame).astype(int) - picture
        assert np.abs(error).mean() < 8


def test_the_bit_rate_is_met() -> None:
    noise = np.random.default_rng(3)
    pictures = [noise.integers(0, 255, (240, 320, 3)).astype(np.uint8) for _ in range(75)]
    _, packets = encode(pictures, bitrate=400_000, gop=25)
    bits = 8 * sum(len(packet.data) for packet in packets)
    assert bits / 3 == pytest.approx(400_000, rel=0.5)


def test_every_key_frame_carries_the_parameter_sets() -> None:
    info, packets = encode(SCENE, gop=10)
    bare = type(info)(info.codec, b"", info.width, info.height, info.rate, info.time_base)
    assert len(decode(Decoder(bare), packets[10:])) == 10


def test_odd_sizes_are_rejected() -> None:
    with pytest.raises(CodecSightError, match="321x240"):
        CameraEncoder(321, 240, 25.0)
