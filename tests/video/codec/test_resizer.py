"""Resizer: sizes, colours, luma, and area averaging."""

import numpy as np

from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.resizer import Resizer
from tests.video.scenes import Picture, decode, encode


def quarters() -> Picture:
    """A picture with a red, a green, a blue and a white quarter."""
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:48, :64] = (255, 0, 0)
    picture[:48, 64:] = (0, 255, 0)
    picture[48:, :64] = (0, 0, 255)
    picture[48:, 64:] = 255
    return picture


def test_a_frame_is_scaled_to_the_given_size_and_keeps_its_colours() -> None:
    info, packets = encode([quarters()] * 2, crf=10.0)
    frame = decode(Decoder(info), packets)[1]
    rgb = Resizer(32, 32).rgb(frame)
    assert rgb.shape == (32, 32, 3)
    assert rgb.dtype == np.uint8
    corners = rgb[[4, 4, 28, 28], [4, 28, 4, 28]].astype(int)
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert np.abs(corners - expected).max() < 12


def test_luma_is_two_dimensional_and_ordered_by_brightness() -> None:
    info, packets = encode([quarters()] * 2, crf=10.0)
    luma = Resizer(32, 24).luma(decode(Decoder(info), packets)[1])
    assert luma.shape == (24, 32)
    red, green, blue, white = luma[[4, 4, 20, 20], [4, 28, 4, 28]].astype(int)
    assert blue < red < green < white


def test_scaling_averages_areas() -> None:
    stripes = np.zeros((96, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    info, packets = encode([stripes], crf=1.0)
    luma = Resizer(16, 12).luma(decode(Decoder(info), packets)[0])
    assert luma.std() < 6
    assert 100 < luma.mean() < 155


def test_frames_of_any_size_are_scaled_to_the_same_size() -> None:
    resizer = Resizer(32, 32)
    for size in ((96, 128), (144, 192)):
        info, packets = encode([np.full((*size, 3), 128, np.uint8)])
        assert resizer.rgb(decode(Decoder(info), packets)[0]).shape == (32, 32, 3)
