"""Warping: the fast path of pure translations agrees with the general path."""

import numpy as np
import pytest

from codecsight.change.measurement import resampling
from codecsight.change.measurement import warp as warping
from codecsight.change.measurement.warp import paste_cells, shift_pixels, translation, warp

RNG = np.random.default_rng(4)
IMAGE = RNG.uniform(0, 255, (3, 60, 80)).astype(np.float32)
VISIBILITY = np.pad(np.ones((40, 56), np.float32), ((8, 12), (10, 14)))


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 0.0), (9.6, 8.3), (-7.25, 4.0), (30.5, -22.75), (200.0, 3.0)]
)
def test_translating_agrees_with_warping(x: float, y: float) -> None:
    translated, warped = np.empty((2, 2, 44, 60), np.float32)
    visibility = warp(IMAGE, VISIBILITY, translation(x, y), translated)
    expected = warping._warp(IMAGE, VISIBILITY, translation(x, y), warped)
    np.testing.assert_allclose(visibility, expected, atol=1e-4)
    np.testing.assert_allclose(translated, warped, atol=1e-2)


@pytest.mark.parametrize("rotation", [0.0, 0.02], ids=["translated", "rotated"])
def test_pasted_cells_land_where_the_motion_maps_them_and_nothing_else_changes(
    rotation: float,
) -> None:
    affine = np.array([[1, -rotation, 0], [rotation, 1, 0], [0, 0, 1.0]])
    motion = translation(9.5, 8.25) @ affine
    new = RNG.uniform(0, 255, (3, 40, 48)).astype(np.float32)
    kept = np.zeros((5, 6), np.bool_)
    kept[1, 2] = kept[4, 5] = True
    image, visibility = IMAGE.copy(), VISIBILITY.copy()
    paste_cells(new, kept, motion, image, visibility)
    expected, expected_visibility = IMAGE.copy(), VISIBILITY.copy()
    inverse = np.linalg.inv(motion)
    for y, x in np.ndindex(visibility.shape):
        new_x, new_y = (inverse @ (x + 0.5, y + 0.5, 1))[:2]
        covered = warping._coverage(new_x, 48) * warping._coverage(new_y, 40)
        cell = min(max(int(new_y), 0), 39) // 8, min(max(int(new_x), 0), 47) // 8
        if kept[cell] and covered > 0 and (covered >= 0.5 or covered > VISIBILITY[y, x]):
            resampling.bicubic_at(new, new_x - 0.5, new_y - 0.5, expected[:, y, x])
            expected_visibility[y, x] = max(VISIBILITY[y, x], covered)
    assert (expected != IMAGE).any()
    np.testing.assert_allclose(image, expected, atol=1e-3)
    np.testing.assert_allclose(visibility, expected_visibility, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y"), [(3, -2), (-5, 4), (0, 0), (0, 59), (79, 0), (-200, 5), (2, -80), (80, 60)]
)
def test_shifting_moves_whole_pixels_and_fills_with_zeros(x: int, y: int) -> None:
    shifted, padded = IMAGE.copy(), np.pad(IMAGE, ((0, 0), (300, 300), (300, 300)))
    shift_pixels(shifted, x, y)
    assert np.array_equal(shifted, padded[:, 300 + y : 360 + y, 300 + x : 380 + x])
