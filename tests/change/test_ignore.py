"""Masks of what to ignore, and the proposal of one."""

import numpy as np
import pytest
from PIL import Image as PilImage

from codecsight.change.ignore import Polygon, covered_cells, pixel_mask, propose_ignore
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import Slot
from tests.change.synthetic_camera import Image, SyntheticCamera

CORNER: Polygon = [(0.0, 0.0), (0.3, 0.0), (0.3, 0.25), (0.0, 0.25)]
CLOCK = slice(2, 22), slice(4, 36)  # rows and columns of the picture of 96 x 128


def track(
    camera: SyntheticCamera,
    pictures: list[Image],
    ignore: list[Polygon],
    policy: str = "tracked",
) -> list[Slot]:
    """Slots of pictures half a second apart, each with a clock in its corner: random digits."""
    rng = np.random.default_rng(1)
    tracker = ChangeTracker(
        camera.grid, make_policy(policy, camera.grid), anchor_every=100, ignore=ignore
    )
    slots = []
    for number, picture in enumerate(pictures):
        shown = picture.copy()
        shown[CLOCK] = rng.integers(0, 2, (20, 32, 1)) * 255
        slot = tracker.feed(camera.frame(shown, number / 2))
        slots += [slot] if slot else []
    return slots


@pytest.mark.parametrize("policy", ["tracked", "pixels"])
def test_a_clock_keeps_cells_unless_it_is_ignored(camera: SyntheticCamera, policy: str) -> None:
    pictures = [camera.background] * 12
    assert all(slot.kept.any() for slot in track(camera, pictures, [], policy))
    slots = track(camera, pictures, [CORNER], policy)
    assert slots[0].kept.all()  # the anchor shows everything as it is
    assert not any(slot.kept.any() for slot in slots[1:])


def test_a_clock_is_ignored_under_changing_light_and_changes_beside_it_are_not(
    camera: SyntheticCamera,
) -> None:
    lit = [np.rint(camera.background * (1 - 0.04 * n)).astype(np.uint8) for n in range(12)]
    assert not any(slot.kept.any() for slot in track(camera, lit, [CORNER])[1:])
    person = camera.background.copy()
    person[24:60, 20:36] = 20  # from the clock's cells downwards
    kept = track(camera, [camera.background] * 10 + [person] * 2, [CORNER])[-1].kept
    assert kept[2, 1]
    assert kept[3, 1]
    assert not kept[0].any()


def test_a_transient_in_an_ignored_place_is_none(camera: SyntheticCamera) -> None:
    tracker_slots = {}
    for ignore in ([], [CORNER]):
        tracker = ChangeTracker(
            camera.grid, make_policy("tracked", camera.grid), anchor_every=100, ignore=ignore
        )
        for number in range(30):
            image = camera.background
            if number in (12, 13):
                image = image.copy()
                image[4:20, 8:30] = 250
            large = image.repeat(5, axis=0).repeat(5, axis=1)
            frame = camera.frame(large, number / 10)
            frame.picture = frame.picture.reformat(format="yuv420p")
            tracker.feed(frame)
        tracker_slots[bool(ignore)] = tracker.counters.transients
    assert tracker_slots == {False: 1, True: 0}


def naive_mask(polygon: Polygon, width: int, height: int) -> Image:
    """Whether the centre of each pixel lies in a convex polygon (clockwise)."""
    inside = np.ones((height, width), np.bool_)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        cross = (bx - ax) * width * (y - ay * height) - (by - ay) * height * (x - ax * width)
        inside &= cross >= 0
    return inside


@pytest.mark.parametrize(
    "polygon", [CORNER, [(0.5, 0.1), (0.9, 0.5), (0.5, 0.9)], [(0.2, 0.2), (1.0, 0.2), (1.0, 1.0)]]
)
def test_a_mask_covers_its_polygon_and_a_margin_of_a_few_pixels(polygon: Polygon) -> None:
    mask = pixel_mask([polygon], 128, 96)
    inside = naive_mask(polygon, 128, 96)
    assert mask[inside].all()
    grown = PilImage.fromarray(inside).resize((128, 96))
    near = np.zeros_like(inside)
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            near |= np.roll(np.asarray(grown, np.bool_), (dy, dx), (0, 1))
    assert not mask[~near].any()


def test_only_cells_that_a_mask_covers_are_ignored_as_a_whole(camera: SyntheticCamera) -> None:
    mask = pixel_mask([[(0.0, 0.0), (0.3, 0.0), (0.3, 0.2), (0.0, 0.2)]], 128, 96)
    covered = covered_cells(mask, camera.grid)
    assert np.argwhere(covered).tolist() == [[0, 0], [0, 1]]
    assert pixel_mask([], 128, 96).sum() == 0


def naive_cover(polygons: list[Polygon], rows: int, cols: int) -> list[tuple[int, int]]:
    return [
        (row, col)
        for row in range(rows)
        for col in range(cols)
        if any(
            polygon[0][0] < (col + 0.5) / cols < polygon[2][0]
            and polygon[0][1] < (row + 0.5) / rows < polygon[2][1]
            for polygon in polygons
        )
    ]


def test_cells_that_change_in_every_slot_are_proposed(camera: SyntheticCamera) -> None:
    slots = track(camera, [camera.background] * 40, [])
    kept = [slot.kept for slot in slots[1:]]
    kept[4] = kept[4] | (np.arange(48).reshape(6, 8) == 37)  # a person, once
    proposed = propose_ignore(kept)
    clock = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert naive_cover(proposed, 6, 8) == clock
    assert proposed == [((0, 0), (0.375, 0), (0.375, 0.3333), (0, 0.3333))]
    assert not any(
        slot.kept.any() for slot in track(camera, [camera.background] * 12, proposed)[1:]
    )


@pytest.mark.parametrize("seed", range(4))
def test_rectangles_cover_exactly_the_cells_that_always_change(seed: int) -> None:
    always = np.random.default_rng(seed).random((9, 16)) < 0.1
    expected = [(int(row), int(col)) for row, col in np.argwhere(always)]
    assert naive_cover(propose_ignore([always] * 10), 9, 16) == expected


def test_nothing_is_proposed_for_a_busy_scene_or_after_a_short_time() -> None:
    clock = np.zeros((9, 16), np.bool_)
    clock[0, 1:5] = True
    assert len(propose_ignore([clock] * 10)) == 1
    assert propose_ignore([clock] * 9) == []
    assert propose_ignore([np.ones((9, 16), np.bool_)] * 20) == []
    assert propose_ignore([clock, ~clock] * 10) == []
