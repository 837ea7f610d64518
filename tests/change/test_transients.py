"""What comes and goes between two samples."""

from dataclasses import replace

import numpy as np

from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import Slot
from tests.change.synthetic_camera import Image, SyntheticCamera


def large(image: Image) -> Image:
    """The camera's picture five times as large, as cameras send them."""
    return image.repeat(5, axis=0).repeat(5, axis=1)


def watch(
    camera: SyntheticCamera, policy: str, shown: dict[int, Image]
) -> tuple[ChangeTracker, list[Slot]]:
    """Three seconds at 10 frames per second of the background, and of other pictures at some
    frames. Frames 0, 5, 10 .. are due to be sampled.
    """
    tracker = ChangeTracker(camera.grid, make_policy(policy, camera.grid), anchor_every=100)
    pictures = [large(shown.get(number, camera.background)) for number in range(30)]
    frames = [camera.frame(picture, number / 10) for number, picture in enumerate(pictures)]
    frames = [replace(f, picture=f.picture.reformat(format="yuv420p")) for f in frames]
    return tracker, [slot for frame in frames if (slot := tracker.feed(frame)) is not None]


def test_a_visitor_between_two_samples_gets_into_the_slot(camera: SyntheticCamera) -> None:
    tracker, slots = watch(
        camera, "tracked", {12: camera.with_cell(2, 3), 13: camera.with_cell(2, 4)}
    )
    assert tracker.counters.transients == 1
    assert slots[1].times in [(1.0, 1.2), (1.0, 1.3)]
    assert slots[1].kept[2, 3]
    assert slots[1].kept[2, 4]
    assert slots[1].kept_count <= 20


def test_the_empty_place_is_shipped_again_afterwards(camera: SyntheticCamera) -> None:
    _, slots = watch(camera, "tracked", {12: camera.with_cell(2, 3)})
    assert slots[2].kept[2, 3]
    assert slots[2].times == (2.0, 2.5)


def test_who_only_looks_at_samples_misses_the_visitor(camera: SyntheticCamera) -> None:
    _, slots = watch(camera, "pixels", {12: camera.with_cell(2, 3)})
    assert not slots[1].kept.any()


def test_who_stays_for_the_next_sample_moves_nothing(camera: SyntheticCamera) -> None:
    person = camera.with_cell(2, 3)
    tracker, slots = watch(camera, "tracked", dict.fromkeys(range(13, 30), person))
    assert tracker.counters.transients == 0
    assert slots[1].times == (1.0, 1.5)


def test_a_flash_of_light_is_no_visitor(camera: SyntheticCamera) -> None:
    bright = (camera.background + np.uint8(60)).astype(np.uint8)
    tracker, _ = watch(camera, "tracked", {12: bright})
    assert tracker.counters.transients == 0
