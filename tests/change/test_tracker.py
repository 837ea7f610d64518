"""The tracker: frames in, slots out."""

from dataclasses import replace

import numpy as np
import pytest

from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import Reason, Slot, SlotKind
from tests.change.synthetic_camera import Image, SyntheticCamera


@pytest.fixture
def tracker(camera: SyntheticCamera) -> ChangeTracker:
    return ChangeTracker(camera.grid, make_policy("pixels", camera.grid), anchor_every=100)


def feed(
    tracker: ChangeTracker,
    camera: SyntheticCamera,
    image: Image,
    start: float,
    seconds: float = 1.0,
) -> list[Slot]:
    """Feed one image at 10 frames per second; one second makes one slot."""
    frames = [camera.frame(image, start + n / 10) for n in range(round(seconds * 10))]
    return [slot for frame in frames if (slot := tracker.feed(frame)) is not None]


def test_the_first_slot_is_an_anchor_with_every_cell(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    (slot,) = feed(tracker, camera, camera.background, 0)
    assert slot.kind is SlotKind.ANCHOR
    assert slot.kept.all()
    assert slot.patches.shape == (48, 2, 3, 16, 16)
    assert (slot.reasons == Reason.ANCHOR).all()
    assert slot.times == (0.0, 0.5)
    assert slot.capture_time == 1_000_000.5
    assert np.array_equal(slot.patches[8, 0], camera.background[16:32, :16].transpose(2, 0, 1))


def test_a_delta_holds_only_changed_cells(camera: SyntheticCamera, tracker: ChangeTracker) -> None:
    feed(tracker, camera, camera.background, 0)
    (slot,) = feed(tracker, camera, camera.with_cell(2, 3), 1)
    assert slot.kind is SlotKind.DELTA
    assert slot.kept[2, 3]
    assert slot.kept_count == np.count_nonzero(slot.kept) < 10
    assert slot.cell_count == 48
    assert (slot.reasons == Reason.PIXELS).all()


def test_a_static_scene_gives_empty_deltas(camera: SyntheticCamera, tracker: ChangeTracker) -> None:
    feed(tracker, camera, camera.background, 0)
    (slot,) = feed(tracker, camera, camera.background, 1)
    assert (slot.kind, slot.kept_count) == (SlotKind.DELTA, 0)


def test_slow_drift_adds_up_until_it_is_shipped(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    """Each step is below the threshold; compared with what was shipped, the steps add up."""
    feed(tracker, camera, camera.background, 0)
    kept = []
    for second in range(1, 20):
        level = camera.background.copy()
        level[32:48, 48:64] += np.uint8(second)
        (slot,) = feed(tracker, camera, level, second)
        kept.append(bool(slot.kept[2, 3]))
    assert not kept[0]
    assert any(kept)
    shipped = tracker.last_shipped[-1, 32:48, 48:64].astype(int)
    assert np.abs(shipped - level[32:48, 48:64]).max() <= 8


def test_pruned_cells_keep_their_shipped_content(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 0)
    slight = camera.background.copy()
    slight[32:48, 48:64] += 2
    feed(tracker, camera, slight, 1)
    assert np.array_equal(tracker.last_shipped[1], camera.background)


def test_every_fourth_slot_is_an_anchor(camera: SyntheticCamera) -> None:
    tracker = ChangeTracker(camera.grid, make_policy("pixels", camera.grid), anchor_every=4)
    slots = feed(tracker, camera, camera.background, 0, seconds=9)
    assert [n for n, slot in enumerate(slots) if slot.kind is SlotKind.ANCHOR] == [0, 4, 8]
    assert tracker.counters.anchors == {"start": 1, "scheduled": 2}


def test_a_forced_anchor_is_the_next_slot_and_only_that_one(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 0)
    tracker.force_anchor()
    slots = feed(tracker, camera, camera.background, 1, seconds=2)
    assert [slot.kind for slot in slots] == [SlotKind.ANCHOR, SlotKind.DELTA]


def test_more_than_half_changed_is_an_anchor(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 0)
    other = np.random.default_rng(9).integers(0, 255, camera.background.shape).astype(np.uint8)
    (slot,) = feed(tracker, camera, other, 1)
    assert slot.kind is SlotKind.ANCHOR
    assert tracker.counters.anchors["mass_change"] == 1


def test_a_policy_with_anchor_threshold_1_keeps_its_full_deltas(camera: SyntheticCamera) -> None:
    tracker = ChangeTracker(camera.grid, make_policy("everything", camera.grid), anchor_every=4)
    slots = feed(tracker, camera, camera.background, 0, seconds=5)
    assert all(slot.kept.all() for slot in slots)
    assert [n for n, slot in enumerate(slots) if slot.kind is SlotKind.ANCHOR] == [0, 4]


def test_a_new_picture_size_is_an_anchor_on_the_same_grid(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 0)
    larger = camera.background.repeat(2, axis=0).repeat(2, axis=1)
    (slot,) = feed(tracker, camera, larger, 1)
    assert slot.kind is SlotKind.ANCHOR
    assert slot.kept.shape == (6, 8)
    assert np.abs(tracker.last_shipped[1].astype(int) - camera.background).max() <= 2


def test_a_slot_never_spans_a_gap(camera: SyntheticCamera, tracker: ChangeTracker) -> None:
    feed(tracker, camera, camera.background, 0)
    tracker.feed(camera.frame(camera.background, 1.0))  # half a slot, then a gap of ten seconds
    (slot,) = feed(tracker, camera, camera.background, 11)
    assert slot.times == (11.0, 11.5)
    assert slot.kind is SlotKind.ANCHOR, "nobody knows what happened meanwhile"
    assert tracker.counters.anchors["gap"] == 1


def test_an_anchor_follows_when_time_runs_backwards(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 100)
    tracker.feed(camera.frame(camera.background, 101.0))
    (slot,) = feed(tracker, camera, camera.background, 5)
    assert slot.times == (5.0, 5.5)
    assert slot.kind is SlotKind.ANCHOR


def test_an_anchor_without_damaged_frames_follows_damage(
    camera: SyntheticCamera, tracker: ChangeTracker
) -> None:
    feed(tracker, camera, camera.background, 0)
    damaged = replace(camera.signals(), valid=False)
    tracker.feed(camera.frame(camera.with_cell(2, 3), 1.0, damaged))
    (slot,) = feed(tracker, camera, camera.background, 1.1, seconds=1.0)
    assert slot.kind is SlotKind.ANCHOR
    assert slot.times[0] > 1.0
    assert tracker.counters.anchors["recovered"] == 1


def test_motion_between_the_sampled_frames_counts(camera: SyntheticCamera) -> None:
    """A small object moves only in frames that are not sampled, and leaves a slight change."""
    tracker = ChangeTracker(camera.grid, make_policy("tracked", camera.grid), anchor_every=100)
    feed(tracker, camera, camera.background, 0)
    slight = camera.background.copy()
    slight[36:44, 52:60] += np.array([5, 5, 3], np.uint8)
    frames = [
        camera.frame(slight, 1 + n / 10, camera.signals(a=(2, 3, 2.0)) if n == 3 else None)
        for n in range(10)
    ]
    (slot,) = [slot for frame in frames if (slot := tracker.feed(frame)) is not None]
    assert slot.kept[2, 3]


def test_the_counters_add_up(camera: SyntheticCamera, tracker: ChangeTracker) -> None:
    slots = feed(tracker, camera, camera.background, 0, seconds=3)
    slots += feed(tracker, camera, camera.with_cell(2, 3), 3)
    counters = tracker.counters
    assert counters.slots == len(slots) == 4
    assert counters.total == 4 * 48
    assert counters.kept == sum(slot.kept_count for slot in slots)
    assert sum(counters.reasons.values()) == counters.kept
