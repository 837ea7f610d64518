"""Exposure, found in spite of what changed."""

import numpy as np
import pytest

from codecsight.change.measurement.exposure import Exposure, tone
from codecsight.change.measurement.yuv_planes import planes

RNG = np.random.default_rng(3)
SCENE = RNG.uniform(20, 200, (180, 320)).astype(np.float32)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.75, 0.0), (1.2, 6.0), (1.0, -12.0)])
def test_gain_and_offset_are_found_though_a_third_changed(gain: float, offset: float) -> None:
    new = SCENE * gain + offset + RNG.normal(0, 2, SCENE.shape).astype(np.float32)
    new[:, :100] = 90
    found = tone(SCENE[None], new[None])
    assert found.gain == pytest.approx(gain, abs=0.02)
    assert found.offset == pytest.approx(offset, abs=2.0)


def test_the_same_light_leaves_every_level_alone() -> None:
    assert tone(SCENE[None], SCENE[None]).same


def test_one_shade_of_grey_gives_an_offset_only() -> None:
    grey = np.full((1, 90, 160), 100, np.float32)
    assert tone(grey, grey + 20) == Exposure(1.0, 20.0)


def test_a_picture_without_a_fair_point_says_nothing() -> None:
    assert tone(np.zeros((1, 90, 160), np.float32), SCENE[None, :90, :160]).same


def test_bytes_have_the_tone_of_their_planes_bit_for_bit() -> None:
    old = RNG.integers(0, 256, (90, 160, 3), dtype=np.uint8)
    new = RNG.integers(0, 200, (90, 160, 3), dtype=np.uint8)
    assert tone(old, new) == tone(planes(old), planes(new)) == tone(planes(old), new)


def test_a_picture_is_toned_within_its_range() -> None:
    levels = np.zeros((3, 1, 3), np.float32)
    levels[0], levels[1] = (0, 100, 250), (-10, 0, 20)
    assert Exposure(1.2, 5).of(levels)[0].round().tolist() == [[5, 125, 255]]
    assert Exposure(1.2, 5).of(levels)[1].tolist() == [pytest.approx([-12, 0, 24])]
