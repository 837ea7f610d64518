"""Composition of camera motion over frames."""

import numpy as np
import pytest

from codecsight.change.measurement.camera_motion import IDENTITY, max_displacement
from codecsight.change.measurement.camera_transform import CameraTransform
from codecsight.core.frame import FrameSignals
from tests.change.measurement.camera_signals import moving_signals


def test_transforms_compose_over_frames_and_continue_through_i_frames() -> None:
    camera = CameraTransform(320, 180, samples=2)
    camera.on_sample()
    for signals in (
        moving_signals(2, 0),
        moving_signals(2, 0),
        FrameSignals("I", 9000),
        moving_signals(2, 0),
    ):
        camera.observe(signals, 640, 360)
    assert not camera.is_static
    camera.on_sample()
    first, second = camera.sample_transforms()
    assert first is IDENTITY
    # Content moved 8 pixels to the right in the source: 4 in the model's input.
    assert second @ [100, 50, 1] == pytest.approx([96, 50, 1], abs=0.05)
    assert camera.is_static


def test_motion_without_new_estimates_stops_after_some_frames() -> None:
    camera = CameraTransform(320, 180, samples=2)
    camera.observe(moving_signals(2, 1, zoom=0.02), 640, 360)
    night = moving_signals(0, 0, noise=8.0)
    for _ in range(40):
        camera.observe(night, 640, 360)
    camera.on_sample()
    before = camera.current
    for _ in range(1000):
        camera.observe(night, 640, 360)
    assert camera.is_static
    assert camera.current is before
    assert max_displacement(before, 320, 180) < 100


def test_rebasing_keeps_the_transforms_of_a_slot_relative_to_each_other() -> None:
    camera = CameraTransform(320, 180, samples=2)
    for turn in (moving_signals(2, 0, zoom=0.01), moving_signals(0, 1)):
        camera.observe(turn, 640, 360)
        camera.on_sample()
    first, second = camera.sample_transforms()
    camera.rebase()
    first_rebased, current = camera.sample_transforms()
    assert current is camera.current is IDENTITY
    assert np.linalg.inv(first_rebased) == pytest.approx(np.linalg.inv(first) @ second)


def test_a_camera_is_smooth_after_two_static_sampling_intervals() -> None:
    camera = CameraTransform(320, 180, samples=2)
    assert camera.is_smooth
    camera.observe(moving_signals(2, 0), 640, 360)
    assert not camera.is_smooth
    camera.on_sample()
    camera.observe(moving_signals(0, 0), 640, 360)
    assert camera.is_static
    assert not camera.is_smooth
    camera.on_sample()
    assert camera.is_smooth


def test_a_turn_becomes_smooth_after_some_frames_and_a_shake_never_does() -> None:
    turning, shaking = CameraTransform(320, 180, samples=2), CameraTransform(320, 180, samples=2)
    for number in range(40):
        turning.observe(moving_signals(3 + number % 2, 0), 640, 360)
        shaking.observe(moving_signals(3 * (-1) ** (number // 5), 0), 640, 360)
        assert turning.is_smooth == (number >= 8)
        assert not shaking.is_smooth
