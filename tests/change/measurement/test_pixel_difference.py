"""The one walk over two pictures gives what many plain steps give."""

import numpy as np
import pytest
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import BRIGHT, Exposure
from codecsight.change.measurement.pixel_difference import THIN, brighter, differences, less, lit
from codecsight.change.measurement.yuv_planes import planes, smoothed

RNG = np.random.default_rng(3)
SHAPE = (46, 70)


def picture() -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def exposed(
    tone: Exposure, old: NDArray[np.float32], new: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The brightness `old` under a tone, as far as `new` can be compared with it."""
    if tone.same:
        return old
    under = np.clip(old * np.float32(tone.gain) + np.float32(tone.offset), 0, 255)
    return np.where(old >= BRIGHT, np.maximum(under, new), under)


@pytest.mark.parametrize("tone", [Exposure(), Exposure(1.2, -9.0), Exposure(0.7, 30.0)], ids=str)
def test_differences_are_smoothed_under_the_tone_and_of_the_larger_colour(tone: Exposure) -> None:
    shown, shipped = picture(), picture()
    new, old = planes(shown), planes(shipped)
    levels, middle = differences(shown, shipped, tone, 0.45)
    bright = smoothed(new[0] - exposed(tone, old[0], new[0]))
    colours = [smoothed(a - b) for a, b in zip(new[1:], tone.of_colours(old), strict=True)]
    apart = np.float32(0.45) * np.abs(colours).max(axis=0)
    np.testing.assert_allclose(levels, [bright, apart], atol=1e-3)
    assert middle == pytest.approx(np.median(apart[::THIN, ::THIN]), abs=1e-3)
    split, its_middle = differences(shown, old, tone, 0.45)
    assert np.array_equal(split, levels)
    assert its_middle == middle


def test_light_is_taken_off_and_what_is_left_has_no_sign() -> None:
    levels = RNG.normal(0, 20, SHAPE).astype(np.float32)
    down = RNG.random((SHAPE[0], 5)).astype(np.float32)
    across = RNG.normal(0, 9, (5, SHAPE[1])).astype(np.float32)
    left = np.abs(levels - down @ across)
    middle = lit(levels, down, across)
    np.testing.assert_allclose(levels, left, atol=1e-3)
    assert middle == pytest.approx(np.median(left[::THIN, ::THIN]), abs=1e-3)


@pytest.mark.parametrize("tone", [Exposure(), Exposure(1.2, -9.0)], ids=str)
def test_what_is_not_known_as_a_whole_is_no_brighter_and_no_less(tone: Exposure) -> None:
    (new, *_), (old, *_), whole = planes(picture()), planes(picture()), RNG.random(SHAPE) < 0.5
    gain, offset = np.float32(tone.gain), np.float32(tone.offset)
    found = brighter(new, old, gain, offset, tone.same, whole)
    np.testing.assert_allclose(found, (new - exposed(tone, old, new)) * whole, atol=1e-3)
    taken = found - np.float32(0.5) * old
    less(found, old, np.float32(0.5), whole)
    np.testing.assert_allclose(found, taken * whole, atol=1e-3)


def test_what_was_burnt_out_may_have_been_brighter() -> None:
    old, new, whole = (
        np.full((2, 2), 255, np.float32),
        np.full((2, 2), 240, np.float32),
        np.ones((2, 2), np.bool_),
    )
    dark = np.float32(0.75), np.float32(0), False, whole
    assert (brighter(new, old, *dark) == 0).all()
    assert (brighter(new - 100, old, *dark) < -40).all()
