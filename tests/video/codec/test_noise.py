"""Measuring a stream's noise."""

import av
import numpy as np
import pytest

from codecsight.core.frame import Frame, FrameSignals
from codecsight.video.codec.noise import NoiseMeter


def frame(sigma: float, number: int, person: bool = False) -> Frame:
    rng = np.random.default_rng(number)
    picture = np.full((180, 320), 110.0)
    if person:
        picture[40:140, 10 * number : 10 * number + 60] = 20
    noisy = np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)
    shown = av.VideoFrame.from_ndarray(noisy, format="gray")
    return Frame(shown, number / 10, 0.0, FrameSignals("P", 100))


@pytest.mark.parametrize("sigma", [2.0, 8.0])
@pytest.mark.parametrize("person", [False, True])
def test_the_noise_is_measured_though_somebody_walks_by(sigma: float, person: bool) -> None:
    meter = NoiseMeter()
    for number in range(12):
        meter.update(frame(sigma, number, person))
    assert meter.level == pytest.approx(sigma, rel=0.2)


def test_a_single_frame_says_nothing() -> None:
    meter = NoiseMeter()
    meter.update(frame(4.0, 1))
    assert meter.level is None
