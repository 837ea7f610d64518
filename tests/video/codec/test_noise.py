"""NoiseMeter: the measured level against known Gaussian noise."""

import av
import numpy as np
import pytest

from codecsight.core.frame import Frame, FrameSignals
from codecsight.video.codec.noise import NoiseMeter


def frame(sigma: float, number: int, moving_object: bool = False) -> Frame:
    rng = np.random.default_rng(number)
    picture = np.full((180, 320), 110.0)
    if moving_object:
        picture[40:140, 10 * number : 10 * number + 60] = 20
    noisy = np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)
    video_frame = av.VideoFrame.from_ndarray(noisy, format="gray")
    return Frame(video_frame, number / 10, 0.0, FrameSignals("P", 100))


@pytest.mark.parametrize("sigma", [2.0, 8.0])
@pytest.mark.parametrize("moving_object", [False, True])
def test_noise_is_measured_with_and_without_a_moving_object(
    sigma: float, moving_object: bool
) -> None:
    meter = NoiseMeter()
    for number in range(12):
        meter.update(frame(sigma, number, moving_object))
    assert meter.level == pytest.approx(sigma, rel=0.2)


def test_a_single_frame_gives_no_level() -> None:
    meter = NoiseMeter()
    meter.update(frame(4.0, 1))
    assert meter.level is None


def test_a_picture_too_small_to_measure_has_no_level() -> None:
    meter = NoiseMeter()
    for number in range(12):
        picture = av.VideoFrame.from_ndarray(np.full((2, 2), 90, np.uint8), format="gray")
        meter.update(Frame(picture, number / 10, 0.0, FrameSignals("P", 100)))
    assert meter.level is None
