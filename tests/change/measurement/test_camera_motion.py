"""The camera's own motion, read off the vectors."""

import numpy as np
import pytest

from codecsight.change.measurement.camera_motion import (
    IDENTITY,
    estimate_camera_motion,
    largest_shift,
    scaled,
    shift,
)
from codecsight.change.measurement.camera_transform import CameraTransform
from codecsight.core.frame import FrameSignals

ROWS, COLS = 23, 40  # 640 x 360


def moved(
    x: float, y: float, zoom: float = 0.0, others: float = 0.0, noise: float = 0.0
) -> FrameSignals:
    """Vectors of a camera that moves so; a share of `others` goes its own ways."""
    rng = np.random.default_rng(1)
    across = (np.arange(COLS) + 0.5) * 16 - 320
    down = ((np.arange(ROWS) + 0.5) * 16 - 180)[:, None]
    motion = np.stack(np.broadcast_arrays(x + zoom * across, y + zoom * down), axis=-1)
    motion = motion + rng.normal(0, noise, motion.shape)
    motion[rng.random((ROWS, COLS)) < others] = (7.0, -5.0)
    intra = np.zeros((ROWS, COLS), np.float32)
    return FrameSignals("P", 1000, motion=motion.astype(np.float32), intra=intra)


@pytest.mark.parametrize(("x", "y", "zoom"), [(2.0, 0.0, 0.0), (-1.5, 0.75, 0.0), (1.0, 0, 0.01)])
def test_pan_and_zoom_are_found_though_much_goes_its_own_way(
    x: float, y: float, zoom: float
) -> None:
    signals = moved(x, y, zoom, others=0.3, noise=0.1)
    matrix = estimate_camera_motion(signals)
    assert matrix is not None
    expected = moved(x, y, zoom).motion
    assert expected is not None
    assert np.abs(shift(matrix, ROWS, COLS, 16) - expected).max() < 0.1


def test_a_still_camera_is_exactly_still() -> None:
    assert estimate_camera_motion(moved(0, 0, others=0.3)) is IDENTITY
    assert estimate_camera_motion(moved(0.05, 0)) is IDENTITY


def test_vectors_that_agree_on_nothing_are_no_camera() -> None:
    signals = moved(0, 0, noise=8.0)
    assert estimate_camera_motion(signals) is None


@pytest.mark.parametrize("valid", [True, False])
def test_no_vectors_or_damaged_ones_say_nothing(valid: bool) -> None:
    assert estimate_camera_motion(FrameSignals("I", 1000, valid=valid)) is None


def test_poses_compose_over_frames_and_go_on_through_i_frames() -> None:
    pose = CameraTransform(320, 180, samples=2)
    pose.on_sample()
    for signals in (moved(2, 0), moved(2, 0), FrameSignals("I", 9000), moved(2, 0)):
        pose.observe(signals, 640, 360)
    assert not pose.still
    pose.on_sample()
    first, second = pose.poses()
    assert first is IDENTITY
    # Content went 8 pixels to the right in the source: the present is 4 left of where it was.
    assert second @ [100, 50, 1] == pytest.approx([96, 50, 1], abs=0.05)
    assert pose.still


def test_a_motion_that_nobody_confirms_is_not_believed_for_long() -> None:
    pose = CameraTransform(320, 180, samples=2)
    pose.observe(moved(2, 1, zoom=0.02), 640, 360)
    night = moved(0, 0, noise=8.0)
    for _ in range(40):
        pose.observe(night, 640, 360)
    pose.on_sample()
    before = pose.now
    for _ in range(1000):
        pose.observe(night, 640, 360)
    assert pose.still
    assert pose.now is before
    assert largest_shift(before, 320, 180) < 100


def test_begun_anew_the_poses_of_a_slot_stand_to_each_other_as_before() -> None:
    pose = CameraTransform(320, 180, samples=2)
    for turn in (moved(2, 0, zoom=0.01), moved(0, 1)):
        pose.observe(turn, 640, 360)
        pose.on_sample()
    first, second = pose.poses()
    pose.rebase()
    begun, now = pose.poses()
    assert now is pose.now is IDENTITY
    assert np.linalg.inv(begun) == pytest.approx(np.linalg.inv(first) @ second)


def test_a_camera_is_steady_from_the_second_sample_that_finds_it_standing() -> None:
    pose = CameraTransform(320, 180, samples=2)
    assert pose.steady
    pose.observe(moved(2, 0), 640, 360)
    assert not pose.steady
    pose.on_sample()
    pose.observe(moved(0, 0), 640, 360)
    assert pose.still
    assert not pose.steady
    pose.on_sample()
    assert pose.steady


def test_a_smooth_turn_is_steady_after_a_while_and_a_shaking_pole_never_is() -> None:
    turning, shaking = CameraTransform(320, 180, samples=2), CameraTransform(320, 180, samples=2)
    for number in range(40):
        turning.observe(moved(3 + number % 2, 0), 640, 360)
        shaking.observe(moved(3 * (-1) ** (number // 5), 0), 640, 360)
        assert turning.steady == (number >= 8)
        assert not shaking.steady


def test_sizes_of_pictures_do_not_matter() -> None:
    matrix = np.array([[1, 0, -6.0], [0, 1, 4.0], [0, 0, 1]])
    assert largest_shift(scaled(matrix, 0.5, 0.5), 320, 180) == pytest.approx(3.0)
