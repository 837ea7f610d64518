"""Cells that were shipped under another exposure are shipped again, in rotation."""

import numpy as np

from codecsight.change.exposure_refresh import ExposureRefresh
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import Reason, Slot
from tests.change.synthetic_camera import Image, SyntheticCamera

SAME = Exposure()
CELLS = 6, 8


def dimmed(image: Image, factor: float) -> Image:
    return np.rint(image * factor).astype(np.uint8)


def track(
    camera: SyntheticCamera, factors: list[float]
) -> tuple[ChangeTracker, list[Slot], list[Image]]:
    """A slot for each exposure factor, in which an object is in cell (2, 1), then (2, 2), ...
    Returns the tracker, its slots, and the pictures.
    """
    tracker = ChangeTracker(camera.grid, make_policy("tracked", camera.grid), anchor_every=1000)
    slots, pictures = [], []
    for number, factor in enumerate(factors):
        scene = camera.with_cell(2, number, 200) if 1 <= number < 7 else camera.background
        pictures.append(dimmed(scene, factor))
        for half in (0.0, 0.5):
            slot = tracker.feed(camera.frame(pictures[-1], number + half))
            slots += [slot] if slot else []
    return tracker, slots, pictures


def patchwork(tracker: ChangeTracker, picture: Image) -> float:
    """The largest mean difference of a cell between the picture and what was shipped."""
    assert tracker.last_shipped is not None
    difference = np.abs(tracker.last_shipped[-1].astype(float) - picture).mean(axis=2)
    return float(difference.reshape(6, 16, 8, 16).mean(axis=(1, 3)).max())


def test_what_was_shipped_in_the_dark_is_shipped_again_when_the_light_returns(
    camera: SyntheticCamera,
) -> None:
    swing = [1.0, 0.8, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8]
    tracker, slots, pictures = track(camera, [*swing, 1.0, 1.0])
    assert patchwork(tracker, pictures[-1]) > 20
    tracker, slots, pictures = track(camera, [*swing, *[1.0] * 12])
    assert patchwork(tracker, pictures[-1]) < 4
    refreshed = [int((slot.reasons == Reason.REFRESH).sum()) for slot in slots]
    assert max(refreshed) == 2
    assert sum(refreshed[:7]) == 0
    assert 12 <= sum(refreshed) <= 24


def test_a_whole_picture_is_shipped_again_only_for_an_exposure_that_stays(
    camera: SyntheticCamera,
) -> None:
    tracker, _, pictures = track(camera, [1.0, *[0.5] * 8])
    assert patchwork(tracker, pictures[-1]) > 20
    tracker, slots, pictures = track(camera, [1.0, *[0.5] * 40])
    assert patchwork(tracker, pictures[-1]) < 4
    assert max(int(slot.kept.sum()) for slot in slots[9:]) <= 4


def test_the_cells_that_differ_most_come_first_and_are_due_once() -> None:
    refresh = ExposureRefresh(*CELLS)
    dark, darker = np.zeros(CELLS, np.bool_), np.zeros(CELLS, np.bool_)
    dark[0, :3] = darker[5, :2] = True
    refresh.observe(Exposure(0.7))
    refresh.mark_shipped(dark)
    refresh.observe(Exposure(0.7))
    refresh.mark_shipped(darker)
    assert refresh.due().size == 0  # most cells are as bright as the picture was: wait
    refresh.observe(Exposure(1 / 0.49))
    assert sorted(refresh.due()) == [40, 41]
    for expected in ([0, 1], [2], []):
        due = np.zeros(CELLS, np.bool_)
        due.flat[refresh.due()] = True
        refresh.mark_shipped(due)
        assert sorted(refresh.due()) == expected


def test_small_changes_of_exposure_are_none() -> None:
    refresh = ExposureRefresh(*CELLS)
    kept = np.zeros(CELLS, np.bool_)
    kept[0, 0] = True
    refresh.observe(Exposure(0.85))
    refresh.mark_shipped(kept)
    refresh.observe(Exposure(1 / 0.85))
    assert refresh.due().size == 0
    refresh.reset()
    for _ in range(20):
        refresh.observe(SAME)
    assert refresh.due().size == 0
