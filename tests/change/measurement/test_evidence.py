"""Accumulation of codec signals per cell."""

import numpy as np
import pytest

from codecsight.change.measurement.evidence import CodecEvidence
from codecsight.core.frame import FrameSignals
from tests.change.synthetic_camera import SyntheticCamera


def test_peak_motion_and_total_displacement_are_accumulated(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    for speed in (0.25, 1.0, 0.25):
        evidence.observe(camera.signals(a=(2, 3, speed)), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert cells.peak_motion[2, 3] == 1.0
    assert cells.displacement[2, 3] == 1.5
    assert np.count_nonzero(cells.peak_motion) == 1


def test_back_and_forth_motion_cancels_out(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    for speed in (1.0, -1.0):
        evidence.observe(camera.signals(a=(2, 3, speed)), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert (cells.peak_motion[2, 3], cells.displacement[2, 3]) == (1.0, 0.0)


def test_i_frames_are_skipped(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
    evidence.observe(FrameSignals("I", 9000), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert cells.displacement[2, 3] == 1.0


def test_i_frames_alone_are_no_evidence_that_nothing_moved(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    assert evidence.cells() is None
    evidence.observe(FrameSignals("I", 9000), 128, 96)
    assert evidence.cells() is None


@pytest.mark.parametrize(
    "signals",
    [FrameSignals("P", 900), FrameSignals("?", 900), FrameSignals("I", 900, valid=False)],
    ids=["hevc", "unknown type", "damaged"],
)
def test_a_frame_without_motion_makes_evidence_incomplete_until_cleared(
    camera: SyntheticCamera, signals: FrameSignals
) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
    evidence.observe(signals, 128, 96)
    assert evidence.cells() is None
    evidence.clear()
    evidence.observe(camera.signals(), 128, 96)
    assert evidence.cells() is not None


def test_a_new_picture_size_makes_evidence_incomplete(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(camera.signals(), 128, 96)
    evidence.observe(camera.signals(), 120, 90)
    assert evidence.cells() is None


def test_a_frame_without_extracted_motion_moves_like_the_next(camera: SyntheticCamera) -> None:
    every, every_other = CodecEvidence(camera.grid), CodecEvidence(camera.grid)
    for number in range(6):
        signals = camera.signals(a=(2, 3, 1.0))
        every.observe(signals, 128, 96)
        skipped = FrameSignals("P", 900, extracted=False)
        every_other.observe(signals if number % 2 else skipped, 128, 96)
    full, half = every.cells(), every_other.cells()
    assert full is not None
    assert half is not None
    assert half.displacement[2, 3] == full.displacement[2, 3] == 6.0
    assert half.peak_motion[2, 3] == full.peak_motion[2, 3] == 1.0


def test_a_damaged_frame_counts_even_if_not_extracted(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(FrameSignals("P", 900, valid=False, extracted=False), 128, 96)
    assert evidence.cells() is None
