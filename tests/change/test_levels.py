"""The one walk over two pictures gives what many plain steps give."""

import numpy as np
import pytest
from numpy.typing import NDArray

from codecsight.change.levels import THIN, differences, lit
from codecsight.change.planes import planes, smoothed
from codecsight.change.tone import Tone

RNG = np.random.default_rng(3)
SHAPE = (46, 70)


def picture() -> NDArray[np.float32]:
    return planes(RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8))


@pytest.mark.parametrize("tone", [Tone(), Tone(1.2, -9.0), Tone(0.7, 30.0)], ids=str)
def test_differences_are_smoothed_under_the_tone_and_of_the_larger_colour(tone: Tone) -> None:
    new, old = picture(), picture()
    levels, middle = differences(new, old, tone, 0.45)
    bright = smoothed(new[0] - tone.of_plane(old[0], new[0]))
    colours = [smoothed(a - b) for a, b in zip(new[1:], tone.of_colours(old), strict=True)]
    apart = np.float32(0.45) * np.abs(colours).max(axis=0)
    np.testing.assert_allclose(levels, [bright, apart], atol=1e-3)
    assert middle == pytest.approx(np.median(apart[::THIN, ::THIN]), abs=1e-3)


def test_light_is_taken_off_and_what_is_left_has_no_sign() -> None:
    levels = RNG.normal(0, 20, SHAPE).astype(np.float32)
    down = RNG.random((SHAPE[0], 5)).astype(np.float32)
    across = RNG.normal(0, 9, (5, SHAPE[1])).astype(np.float32)
    left = np.abs(levels - down @ across)
    middle = lit(levels, down, across)
    np.testing.assert_allclose(levels, left, atol=1e-3)
    assert middle == pytest.approx(np.median(left[::THIN, ::THIN]), abs=1e-3)
