"""When pixels count as changed, and when they do not."""

import numpy as np
import pytest

from codecsight.change.measurement.cell_difference import Difference, compare
from codecsight.change.measurement.cell_difference import changed as changed_in
from codecsight.change.measurement.yuv_planes import Shown
from codecsight.change.policies.pixels import ALONE
from tests.change.studio import Image, Studio


def changed(studio: Studio, new: Image, shipped: Image) -> set[tuple[int, int]]:
    mask = compare(Shown(new), shipped, studio.grid).changed(ALONE)
    return {(int(r), int(c)) for r, c in np.argwhere(mask)}


def test_a_changed_cell_is_found_and_only_its_neighbours_may_be_drawn_in(studio: Studio) -> None:
    found = changed(studio, studio.with_cell(2, 3), studio.backdrop)
    assert (2, 3) in found
    assert found <= {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)}


def test_equal_pictures_have_no_changed_cell(studio: Studio) -> None:
    assert not changed(studio, studio.backdrop, studio.backdrop)


@pytest.mark.parametrize("sigma", [1, 4, 8])
def test_noise_is_no_change(studio: Studio, sigma: int) -> None:
    pair = [studio.noisy(studio.backdrop, sigma, seed) for seed in (1, 2)]
    assert len(changed(studio, *pair)) <= 2


def test_a_person_is_found_under_the_same_noise(studio: Studio) -> None:
    new = studio.noisy(studio.with_cell(2, 3), 8, 1)
    assert (2, 3) in changed(studio, new, studio.noisy(studio.backdrop, 8, 2))


def test_light_that_goes_up_everywhere_is_no_change(studio: Studio) -> None:
    assert not changed(studio, studio.backdrop + np.uint8(25), studio.backdrop)


def test_light_that_falls_off_across_the_picture_is_no_change(studio: Studio) -> None:
    ramp = np.linspace(0, 40, studio.grid.width)[None, :, None]
    lit = (studio.backdrop + ramp).astype(np.uint8)
    assert len(changed(studio, lit, studio.backdrop)) <= 2


def test_an_object_in_changing_light_is_still_found(studio: Studio) -> None:
    lit = studio.with_cell(2, 3) + np.uint8(25)
    assert (2, 3) in changed(studio, lit, studio.backdrop)


def test_a_large_flat_object_is_not_taken_for_light(studio: Studio) -> None:
    new = studio.backdrop.copy()
    new[16:64, 32:80] = 20  # 3 x 3 cells
    assert {(r, c) for r in (1, 2, 3) for c in (2, 3, 4)} <= changed(studio, new, studio.backdrop)


def test_a_cut_to_another_scene_changes_nearly_everything(studio: Studio) -> None:
    other = np.random.default_rng(9).integers(0, 255, studio.backdrop.shape).astype(np.uint8)
    assert len(changed(studio, other, studio.backdrop)) > 40


def test_what_left_between_the_two_shipped_frames_is_shipped_again(studio: Studio) -> None:
    passing = studio.slot(studio.with_cell(2, 3), studio.backdrop)
    rest = studio.slot(studio.backdrop)
    pairs = zip(rest, passing, strict=True)
    differences: list[Difference] = [compare(Shown(new), old, studio.grid) for new, old in pairs]
    assert changed_in(differences, ALONE)[2, 3]
