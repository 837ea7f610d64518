"""Single-pass difference kernels, compared with plain numpy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from codecsight.change.measurement.exposure import SATURATED, Exposure
from codecsight.change.measurement.pixel_difference import (
    SUBSAMPLE,
    difference_planes,
    luma_difference,
    subtract_illumination,
    subtract_tolerance,
)
from codecsight.change.measurement.plane_filters import box_filter
from codecsight.change.measurement.yuv_planes import rgb_to_yuv

RNG = np.random.default_rng(3)
SHAPE = (46, 70)


def random_image() -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def exposed(
    exposure: Exposure, old: NDArray[np.float32], new: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Luma of `old` under an exposure; where it is saturated, at least `new`."""
    if exposure.negligible:
        return old
    luma = np.clip(old * np.float32(exposure.gain) + np.float32(exposure.offset), 0, 255)
    return np.where(old >= SATURATED, np.maximum(luma, new), luma)


@pytest.mark.parametrize(
    "exposure", [Exposure(), Exposure(1.2, -9.0), Exposure(0.7, 30.0)], ids=str
)
def test_differences_are_those_of_luma_and_of_the_larger_chroma(exposure: Exposure) -> None:
    new_image, old_image = random_image(), random_image()
    new, old = rgb_to_yuv(new_image), rgb_to_yuv(old_image)
    differences, median = difference_planes(new_image, old_image, exposure, 0.45)
    luma = box_filter(new[0] - exposed(exposure, old[0], new[0]))
    chroma = [
        box_filter(a - b) for a, b in zip(new[1:], exposure.apply_to_chroma(old), strict=True)
    ]
    largest = np.float32(0.45) * np.abs(chroma).max(axis=0)
    np.testing.assert_allclose(differences, [luma, largest], atol=1e-3)
    assert median == pytest.approx(np.median(largest[::SUBSAMPLE, ::SUBSAMPLE]), abs=1e-3)
    from_planes, median_from_planes = difference_planes(new_image, old, exposure, 0.45)
    assert np.array_equal(from_planes, differences)
    assert median_from_planes == median


def test_illumination_is_subtracted_and_the_result_is_absolute() -> None:
    difference = RNG.normal(0, 20, SHAPE).astype(np.float32)
    row_weights = RNG.random((SHAPE[0], 5)).astype(np.float32)
    cell_rows = RNG.normal(0, 9, (5, SHAPE[1])).astype(np.float32)
    expected = np.abs(difference - row_weights @ cell_rows)
    median = subtract_illumination(difference, row_weights, cell_rows)
    np.testing.assert_allclose(difference, expected, atol=1e-3)
    assert median == pytest.approx(np.median(expected[::SUBSAMPLE, ::SUBSAMPLE]), abs=1e-3)


@pytest.mark.parametrize("exposure", [Exposure(), Exposure(1.2, -9.0)], ids=str)
def test_invisible_pixels_have_no_difference(exposure: Exposure) -> None:
    (new, *_), (old, *_) = rgb_to_yuv(random_image()), rgb_to_yuv(random_image())
    visible = RNG.random(SHAPE) < 0.5
    gain, offset = np.float32(exposure.gain), np.float32(exposure.offset)
    difference = luma_difference(new, old, gain, offset, exposure.negligible, visible)
    expected = (new - exposed(exposure, old, new)) * visible
    np.testing.assert_allclose(difference, expected, atol=1e-3)
    tolerated = difference - np.float32(0.5) * old
    subtract_tolerance(difference, old, np.float32(0.5), visible)
    np.testing.assert_allclose(difference, tolerated * visible, atol=1e-3)


def test_a_saturated_pixel_may_have_been_brighter() -> None:
    old, new, visible = (
        np.full((2, 2), 255, np.float32),
        np.full((2, 2), 240, np.float32),
        np.ones((2, 2), np.bool_),
    )
    darker = np.float32(0.75), np.float32(0), False, visible
    assert (luma_difference(new, old, *darker) == 0).all()
    assert (luma_difference(new - 100, old, *darker) < -40).all()
