"""Change detection per cell: what counts as change, and what does not."""

import numpy as np
import pytest

from codecsight.change.measurement.cell_difference import changed_in_any, compare
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.change.policies.pixels import PIXELS_ONLY
from tests.change.synthetic_camera import Image, SyntheticCamera


def changed_cells(camera: SyntheticCamera, new: Image, shipped: Image) -> set[tuple[int, int]]:
    mask = compare(Picture(new), shipped, camera.grid).changed_cells(PIXELS_ONLY)
    return {(int(r), int(c)) for r, c in np.argwhere(mask)}


def test_a_changed_cell_is_found_with_its_neighbours_at_most(
    camera: SyntheticCamera,
) -> None:
    found = changed_cells(camera, camera.with_cell(2, 3), camera.background)
    assert (2, 3) in found
    assert found <= {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)}


def test_equal_pictures_have_no_changed_cell(camera: SyntheticCamera) -> None:
    assert not changed_cells(camera, camera.background, camera.background)


@pytest.mark.parametrize("sigma", [1, 4, 8])
def test_noise_is_no_change(camera: SyntheticCamera, sigma: int) -> None:
    pair = [camera.noisy(camera.background, sigma, seed) for seed in (1, 2)]
    assert len(changed_cells(camera, *pair)) <= 2


def test_a_person_is_found_under_the_same_noise(camera: SyntheticCamera) -> None:
    new = camera.noisy(camera.with_cell(2, 3), 8, 1)
    assert (2, 3) in changed_cells(camera, new, camera.noisy(camera.background, 8, 2))


def test_a_global_change_of_light_is_no_change(camera: SyntheticCamera) -> None:
    assert not changed_cells(camera, camera.background + np.uint8(25), camera.background)


def test_a_gradient_of_light_is_no_change(camera: SyntheticCamera) -> None:
    ramp = np.linspace(0, 40, camera.grid.width)[None, :, None]
    bright = (camera.background + ramp).astype(np.uint8)
    assert len(changed_cells(camera, bright, camera.background)) <= 2


def test_an_object_in_changed_light_is_found(camera: SyntheticCamera) -> None:
    bright = camera.with_cell(2, 3) + np.uint8(25)
    assert (2, 3) in changed_cells(camera, bright, camera.background)


def test_a_large_flat_object_is_not_mistaken_for_light(camera: SyntheticCamera) -> None:
    new = camera.background.copy()
    new[16:64, 32:80] = 20  # 3 x 3 cells
    assert {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)} <= changed_cells(
        camera, new, camera.background
    )


def test_a_scene_cut_changes_nearly_all_cells(camera: SyntheticCamera) -> None:
    other = np.random.default_rng(9).integers(0, 255, camera.background.shape).astype(np.uint8)
    assert len(changed_cells(camera, other, camera.background)) > 40


def test_a_cell_whose_shipped_frames_differed_is_shipped_again(camera: SyntheticCamera) -> None:
    shipped = camera.slot(camera.with_cell(2, 3), camera.background)
    new = camera.slot(camera.background)
    pairs = zip(new, shipped, strict=True)
    differences = [compare(Picture(image), old, camera.grid) for image, old in pairs]
    assert changed_in_any(differences, PIXELS_ONLY)[2, 3]


def test_an_object_of_another_colour_and_equal_luma_is_found_after_warping_too(
    camera: SyntheticCamera,
) -> None:
    grey = np.full((camera.grid.height, camera.grid.width, 3), 104, np.uint8)
    green = grey.copy()
    green[36:44, 52:60] = (36, 152, 52)  # a luma of 106, in cell (2, 3)
    everywhere = np.ones(grey.shape[:2], np.float32)
    for new, shipped in ((green, grey), (grey, green)):
        difference = compare(Picture(new), Picture(shipped).yuv, camera.grid, everywhere)
        found = {(int(r), int(c)) for r, c in np.argwhere(difference.changed_cells(PIXELS_ONLY))}
        assert found == {(2, 3)}
