"""Transients: objects that appear and disappear between two samples."""

from dataclasses import replace

import numpy as np
import pytest

from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.change.transients import _mark_lasting
from codecsight.core.slot import Slot
from tests.change.synthetic_camera import Image, SyntheticCamera


def large(image: Image) -> Image:
    """The image five times as large, as a camera would send it."""
    return image.repeat(5, axis=0).repeat(5, axis=1)


def track(
    camera: SyntheticCamera, policy: str, images: dict[int, Image]
) -> tuple[ChangeTracker, list[Slot]]:
    """Track three seconds of the background at 10 frames per second, with other `images` at some
    frame numbers. Frames 0, 5, 10, ... are due to be sampled.
    """
    tracker = ChangeTracker(camera.grid, make_policy(policy, camera.grid), anchor_every=100)
    pictures = [large(images.get(number, camera.background)) for number in range(30)]
    frames = [camera.frame(picture, number / 10) for number, picture in enumerate(pictures)]
    frames = [replace(f, picture=f.picture.reformat(format="yuv420p")) for f in frames]
    return tracker, [slot for frame in frames if (slot := tracker.feed(frame)) is not None]


def test_an_object_between_two_samples_replaces_a_sample_of_the_slot(
    camera: SyntheticCamera,
) -> None:
    tracker, slots = track(
        camera, "tracked", {12: camera.with_cell(2, 3), 13: camera.with_cell(2, 4)}
    )
    assert tracker.counters.transients == 1
    assert slots[1].times in [(1.0, 1.2), (1.0, 1.3)]
    assert slots[1].kept[2, 3]
    assert slots[1].kept[2, 4]
    assert slots[1].kept_count <= 20


def test_the_background_is_shipped_again_after_a_transient(camera: SyntheticCamera) -> None:
    _, slots = track(camera, "tracked", {12: camera.with_cell(2, 3)})
    assert slots[2].kept[2, 3]
    assert slots[2].times == (2.0, 2.5)


def test_a_policy_without_transient_detection_misses_the_object(camera: SyntheticCamera) -> None:
    _, slots = track(camera, "pixels", {12: camera.with_cell(2, 3)})
    assert not slots[1].kept.any()


def test_an_object_that_stays_until_the_next_sample_is_no_transient(
    camera: SyntheticCamera,
) -> None:
    changed = camera.with_cell(2, 3)
    tracker, slots = track(camera, "tracked", dict.fromkeys(range(13, 30), changed))
    assert tracker.counters.transients == 0
    assert slots[1].times == (1.0, 1.5)


def test_a_flash_of_light_is_no_transient(camera: SyntheticCamera) -> None:
    bright = (camera.background + np.uint8(60)).astype(np.uint8)
    tracker, _ = track(camera, "tracked", {12: bright})
    assert tracker.counters.transients == 0


def streak(camera: SyntheticCamera, x: int, y: int, length: int = 24, width: int = 4) -> Image:
    """The background with the bright streak of an insect."""
    picture = camera.background.copy()
    picture[y : y + width, x : x + length] = 250
    return picture


def test_insects_that_fly_past_between_two_samples_replace_no_sample(
    camera: SyntheticCamera,
) -> None:
    flights = {n: streak(camera, 10 + 41 * (n % 3), 11 * n % 80) for n in range(30) if n % 5}
    tracker, slots = track(camera, "tracked", flights)
    assert tracker.counters.transients == 0
    assert not any(slot.kept.any() for slot in slots[1:])


def test_a_small_object_that_stays_for_two_frames_replaces_a_sample(
    camera: SyntheticCamera,
) -> None:
    tracker, slots = track(
        camera, "tracked", {12: streak(camera, 50, 35, 10, 12), 13: streak(camera, 52, 35, 10, 12)}
    )
    assert tracker.counters.transients == 1
    assert slots[1].kept[2, 3]


def test_a_large_object_in_one_frame_counts_only_while_short_sightings_are_rare(
    camera: SyntheticCamera,
) -> None:
    large_object = camera.with_cell(2, 3)
    assert track(camera, "tracked", {22: large_object})[0].counters.transients == 1
    insects = {n: streak(camera, 10 + 37 * (n % 3), 20) for n in range(20) if n % 5 == 3}
    assert track(camera, "tracked", insects | {22: large_object})[0].counters.transients == 0


@pytest.mark.parametrize("reach", [1, 2, 5])
def test_lasting_points_are_those_that_a_grown_mask_of_the_frame_before_covers(reach: int) -> None:
    rng = np.random.default_rng(reach)
    current, before, touched = (rng.random((3, 45, 80)) < [[[0.1]], [[0.02]], [[0.01]]])[:3]
    lasting, earlier = np.empty_like(current), touched.copy()
    count = _mark_lasting(current, before, reach, lasting, touched)
    grown = np.array(
        [
            [
                before[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].any()
                for x in range(80)
            ]
            for y in range(45)
        ]
    )
    assert np.array_equal(lasting, current & grown)
    assert count == lasting.sum() > 0
    assert np.array_equal(touched, earlier | lasting)
