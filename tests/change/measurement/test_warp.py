"""A picture that slid is a picture that was warped, only sooner."""

import numpy as np
import pytest

from codecsight.change.measurement import resampling
from codecsight.change.measurement import warp as warping
from codecsight.change.measurement.warp import lay, roll, translation, warp

RNG = np.random.default_rng(4)
PICTURE = RNG.uniform(0, 255, (3, 60, 80)).astype(np.float32)
KNOWN = np.pad(np.ones((40, 56), np.float32), ((8, 12), (10, 14)))


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 0.0), (9.6, 8.3), (-7.25, 4.0), (30.5, -22.75), (200.0, 3.0)]
)
def test_sliding_agrees_with_warping(x: float, y: float) -> None:
    slid, warped = np.empty((2, 2, 44, 60), np.float32)
    cover = warp(PICTURE, KNOWN, translation(x, y), slid)
    twin = warping._warp(PICTURE, KNOWN, translation(x, y), warped)
    np.testing.assert_allclose(cover, twin, atol=1e-4)
    np.testing.assert_allclose(slid, warped, atol=1e-2)


@pytest.mark.parametrize("turn", [0.0, 0.02], ids=["slid", "turned"])
def test_laid_cells_stand_where_the_motion_says_and_nothing_else_is_touched(turn: float) -> None:
    motion = translation(9.5, 8.25) @ np.array([[1, -turn, 0], [turn, 1, 0], [0, 0, 1.0]])
    new = RNG.uniform(0, 255, (3, 40, 48)).astype(np.float32)
    kept = np.zeros((5, 6), np.bool_)
    kept[1, 2] = kept[4, 5] = True
    picture, known = PICTURE.copy(), KNOWN.copy()
    lay(new, kept, motion, picture, known)
    twin, twin_known = PICTURE.copy(), KNOWN.copy()
    back = np.linalg.inv(motion)
    for y, x in np.ndindex(known.shape):
        across, down = (back @ (x + 0.5, y + 0.5, 1))[:2]
        covered = warping._inside(across, 48) * warping._inside(down, 40)
        cell = min(max(int(down), 0), 39) // 8, min(max(int(across), 0), 47) // 8
        if kept[cell] and covered > 0 and (covered >= 0.5 or covered > KNOWN[y, x]):
            resampling.sample(new, across - 0.5, down - 0.5, twin[:, y, x])
            twin_known[y, x] = max(KNOWN[y, x], covered)
    assert (twin != PICTURE).any()
    np.testing.assert_allclose(picture, twin, atol=1e-3)
    np.testing.assert_allclose(known, twin_known, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y"), [(3, -2), (-5, 4), (0, 0), (0, 59), (79, 0), (-200, 5), (2, -80), (80, 60)]
)
def test_rolling_moves_whole_pixels_and_brings_in_nothing(x: int, y: int) -> None:
    rolled, around = PICTURE.copy(), np.pad(PICTURE, ((0, 0), (300, 300), (300, 300)))
    roll(rolled, x, y)
    assert np.array_equal(rolled, around[:, 300 + y : 360 + y, 300 + x : 380 + x])
