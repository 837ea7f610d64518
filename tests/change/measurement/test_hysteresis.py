"""Thresholds with hysteresis: a clear change goes on into the neighbouring cell."""

import numpy as np
import pytest
from numpy.typing import NDArray

from codecsight.change.measurement.cell_statistics import fraction_connected
from codecsight.change.measurement.plane_filters import dilate
from codecsight.change.policies import make_policy
from tests.change.synthetic_camera import SyntheticCamera

LIMITS, WEAK = np.array([5, 4], np.float32), np.array([3, 2], np.float32)
Mask = NDArray[np.bool_]


def naive_fraction_connected(planes: NDArray[np.float32], seeds: Mask) -> NDArray[np.float32]:
    """Grow the strong pixels by one pixel at a time until nothing changes."""
    rows, cols = seeds.shape
    high, wide = planes.shape[1] // rows, planes.shape[2] // cols

    def pixels(cells: Mask) -> Mask:
        return cells.repeat(high, 0).repeat(wide, 1)

    strong, weak = ((planes > limits[:, None, None]).any(axis=0) for limits in (LIMITS, WEAK))
    within = weak & pixels(dilate(seeds))
    reached = strong & pixels(seeds)
    while not np.array_equal(grown := reached | (dilate(reached) & within), reached):
        reached = grown
    shares: NDArray[np.float32] = reached.reshape(rows, high, cols, wide).mean(axis=(1, 3))
    return shares.astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_connected_shares_are_those_of_a_naive_flood_fill(seed: int) -> None:
    rng = np.random.default_rng(seed)
    planes = rng.gamma(1.2, 1.6, (2, 24, 40)).astype(np.float32)
    seeds = rng.random((4, 5)) < 0.2
    expected = naive_fraction_connected(planes, seeds)
    assert np.allclose(fraction_connected(planes, LIMITS, WEAK, seeds), expected)
    assert expected.any() == seeds.any()


def test_dilation_sets_all_eight_neighbours() -> None:
    mask = np.zeros((4, 5), np.bool_)
    assert not dilate(mask).any()
    mask[1, 4] = True
    assert dilate(mask)[:3, 3:].all()
    assert dilate(mask).sum() == 6


def test_a_faint_rest_of_an_object_is_kept_where_it_joins_a_clear_change(
    camera: SyntheticCamera,
) -> None:
    """An object leaves cell (2, 3); its faint lower end reaches into (3, 3), kept before."""
    background = camera.slot(camera.background)
    both = camera.background.copy()
    both[36:60, 52:60] = 20
    joined, apart = both.copy(), both.copy()
    joined[36:46, 52:60] = apart[36:46, 52:60] = 120
    joined[46:56, 52:60] += 4
    apart[52:60, 52:60] += 4
    for picture, rest_is_kept in ((joined, True), (apart, False)):
        policy = make_policy("tracked", camera.grid)
        before = policy.decide(camera.slot(both), background) > 0
        assert before[2:4, 3].all()
        decided = policy.decide(camera.slot(picture), camera.slot(both)) > 0
        assert decided[2, 3]
        assert decided[3, 3] == rest_is_kept
