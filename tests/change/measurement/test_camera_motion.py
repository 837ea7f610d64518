"""Estimation of camera motion from motion vectors."""

import numpy as np
import pytest

from codecsight.change.measurement.camera_motion import (
    IDENTITY,
    block_displacements,
    change_coordinates,
    estimate_camera_motion,
    max_displacement,
)
from codecsight.core.frame import FrameSignals
from tests.change.measurement.camera_signals import COLS, ROWS, moving_signals


@pytest.mark.parametrize(("x", "y", "zoom"), [(2.0, 0.0, 0.0), (-1.5, 0.75, 0.0), (1.0, 0, 0.01)])
def test_pan_and_zoom_are_estimated_despite_outliers(x: float, y: float, zoom: float) -> None:
    signals = moving_signals(x, y, zoom, outliers=0.3, noise=0.1)
    matrix = estimate_camera_motion(signals)
    assert matrix is not None
    expected = moving_signals(x, y, zoom).motion
    assert expected is not None
    assert np.abs(block_displacements(matrix, ROWS, COLS, 16) - expected).max() < 0.1


def test_a_static_camera_gives_the_identity() -> None:
    assert estimate_camera_motion(moving_signals(0, 0, outliers=0.3)) is IDENTITY
    assert estimate_camera_motion(moving_signals(0.05, 0)) is IDENTITY


def test_inconsistent_vectors_give_no_estimate() -> None:
    signals = moving_signals(0, 0, noise=8.0)
    assert estimate_camera_motion(signals) is None


@pytest.mark.parametrize("valid", [True, False])
def test_missing_or_damaged_vectors_give_no_estimate(valid: bool) -> None:
    assert estimate_camera_motion(FrameSignals("I", 1000, valid=valid)) is None


def test_a_smaller_picture_has_smaller_displacements() -> None:
    matrix = np.array([[1, 0, -6.0], [0, 1, 4.0], [0, 0, 1]])
    halved = change_coordinates(matrix, np.diag([0.5, 0.5, 1.0]))
    assert max_displacement(halved, 320, 180) == pytest.approx(3.0)
