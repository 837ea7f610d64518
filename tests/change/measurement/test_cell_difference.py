"""When pixels count as changed, and when they do not."""

import numpy as np
import pytest

from codecsight.change.measurement.cell_difference import Difference, compare
from codecsight.change.measurement.cell_difference import changed as changed_in
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.change.policies.pixels import ALONE
from tests.change.synthetic_camera import Image, SyntheticCamera


def changed(camera: SyntheticCamera, new: Image, shipped: Image) -> set[tuple[int, int]]:
    mask = compare(Picture(new), shipped, camera.grid).changed(ALONE)
    return {(int(r), int(c)) for r, c in np.argwhere(mask)}


def test_a_changed_cell_is_found_and_only_its_neighbours_may_be_drawn_in(
    camera: SyntheticCamera,
) -> None:
    found = changed(camera, camera.with_cell(2, 3), camera.background)
    assert (2, 3) in found
    assert found <= {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)}


def test_equal_pictures_have_no_changed_cell(camera: SyntheticCamera) -> None:
    assert not changed(camera, camera.background, camera.background)


@pytest.mark.parametrize("sigma", [1, 4, 8])
def test_noise_is_no_change(camera: SyntheticCamera, sigma: int) -> None:
    pair = [camera.noisy(camera.background, sigma, seed) for seed in (1, 2)]
    assert len(changed(camera, *pair)) <= 2


def test_a_person_is_found_under_the_same_noise(camera: SyntheticCamera) -> None:
    new = camera.noisy(camera.with_cell(2, 3), 8, 1)
    assert (2, 3) in changed(camera, new, camera.noisy(camera.background, 8, 2))


def test_light_that_goes_up_everywhere_is_no_change(camera: SyntheticCamera) -> None:
    assert not changed(camera, camera.background + np.uint8(25), camera.background)


def test_light_that_falls_off_across_the_picture_is_no_change(camera: SyntheticCamera) -> None:
    ramp = np.linspace(0, 40, camera.grid.width)[None, :, None]
    lit = (camera.background + ramp).astype(np.uint8)
    assert len(changed(camera, lit, camera.background)) <= 2


def test_an_object_in_changing_light_is_still_found(camera: SyntheticCamera) -> None:
    lit = camera.with_cell(2, 3) + np.uint8(25)
    assert (2, 3) in changed(camera, lit, camera.background)


def test_a_large_flat_object_is_not_taken_for_light(camera: SyntheticCamera) -> None:
    new = camera.background.copy()
    new[16:64, 32:80] = 20  # 3 x 3 cells
    assert {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)} <= changed(camera, new, camera.background)


def test_a_cut_to_another_scene_changes_nearly_everything(camera: SyntheticCamera) -> None:
    other = np.random.default_rng(9).integers(0, 255, camera.background.shape).astype(np.uint8)
    assert len(changed(camera, other, camera.background)) > 40


def test_what_left_between_the_two_shipped_frames_is_shipped_again(camera: SyntheticCamera) -> None:
    passing = camera.slot(camera.with_cell(2, 3), camera.background)
    rest = camera.slot(camera.background)
    pairs = zip(rest, passing, strict=True)
    differences: list[Difference] = [compare(Picture(new), old, camera.grid) for new, old in pairs]
    assert changed_in(differences, ALONE)[2, 3]
