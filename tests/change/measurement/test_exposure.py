"""Robust estimation of exposure changes."""

import numpy as np
import pytest

from codecsight.change.measurement.exposure import Exposure, estimate_exposure
from codecsight.change.measurement.yuv_planes import rgb_to_yuv

RNG = np.random.default_rng(3)
SCENE = RNG.uniform(20, 200, (180, 320)).astype(np.float32)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.75, 0.0), (1.2, 6.0), (1.0, -12.0)])
def test_gain_and_offset_are_estimated_while_a_third_of_the_picture_changed(
    gain: float, offset: float
) -> None:
    new = SCENE * gain + offset + RNG.normal(0, 2, SCENE.shape).astype(np.float32)
    new[:, :100] = 90
    found = estimate_exposure(SCENE[None], new[None])
    assert found.gain == pytest.approx(gain, abs=0.02)
    assert found.offset == pytest.approx(offset, abs=2.0)


def test_an_unchanged_picture_has_a_negligible_exposure_change() -> None:
    assert estimate_exposure(SCENE[None], SCENE[None]).negligible


def test_a_uniform_grey_gives_an_offset_only() -> None:
    grey = np.full((1, 90, 160), 100, np.float32)
    assert estimate_exposure(grey, grey + 20) == Exposure(1.0, 20.0)


def test_a_clipped_picture_gives_no_exposure_change() -> None:
    assert estimate_exposure(np.zeros((1, 90, 160), np.float32), SCENE[None, :90, :160]).negligible


def test_rgb_and_planes_give_identical_exposures() -> None:
    old = RNG.integers(0, 256, (90, 160, 3), dtype=np.uint8)
    new = RNG.integers(0, 200, (90, 160, 3), dtype=np.uint8)
    exposure = estimate_exposure(old, new)
    assert exposure == estimate_exposure(rgb_to_yuv(old), rgb_to_yuv(new))
    assert exposure == estimate_exposure(rgb_to_yuv(old), new)


def test_applied_exposure_is_clipped_to_the_range_of_luma() -> None:
    planes = np.zeros((3, 1, 3), np.float32)
    planes[0], planes[1] = (0, 100, 250), (-10, 0, 20)
    assert Exposure(1.2, 5).apply(planes)[0].round().tolist() == [[5, 125, 255]]
    assert Exposure(1.2, 5).apply(planes)[1].tolist() == [pytest.approx([-12, 0, 24])]
