"""What the codec's signals add up to per cell."""

import numpy as np
import pytest

from codecsight.change.measurement.evidence import CodecEvidence
from codecsight.core.frame import FrameSignals
from tests.change.synthetic_camera import SyntheticCamera


def test_the_fastest_frame_and_the_summed_shift_are_kept(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    for speed in (0.25, 1.0, 0.25):
        evidence.observe(camera.signals(a=(2, 3, speed)), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert cells.motion[2, 3] == 1.0
    assert cells.shift[2, 3] == 1.5
    assert np.count_nonzero(cells.motion) == 1


def test_to_and_fro_sums_up_to_no_shift(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    for speed in (1.0, -1.0):
        evidence.observe(camera.signals(a=(2, 3, speed)), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert (cells.motion[2, 3], cells.shift[2, 3]) == (1.0, 0.0)


def test_i_frames_say_nothing_and_spoil_nothing(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(FrameSignals("I", 9000), 128, 96)
    cells = evidence.cells()
    assert cells is not None
    assert not cells.motion.any()


@pytest.mark.parametrize(
    "signals",
    [FrameSignals("P", 900), FrameSignals("?", 900), FrameSignals("I", 900, valid=False)],
    ids=["hevc", "unknown type", "damaged"],
)
def test_a_frame_without_an_account_of_motion_blinds_until_cleared(
    camera: SyntheticCamera, signals: FrameSignals
) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
    evidence.observe(signals, 128, 96)
    assert evidence.cells() is None
    evidence.clear()
    assert evidence.cells() is not None


def test_a_new_picture_size_blinds_since_blocks_no_longer_match(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(camera.signals(), 128, 96)
    evidence.observe(camera.signals(), 120, 90)
    assert evidence.cells() is None


def test_motion_that_was_not_read_was_that_of_the_next_frame(camera: SyntheticCamera) -> None:
    every, other = CodecEvidence(camera.grid), CodecEvidence(camera.grid)
    for number in range(6):
        signals = camera.signals(a=(2, 3, 1.0))
        every.observe(signals, 128, 96)
        unread = FrameSignals("P", 900, extracted=False)
        other.observe(signals if number % 2 else unread, 128, 96)
    seen, half = every.cells(), other.cells()
    assert seen is not None
    assert half is not None
    assert half.shift[2, 3] == seen.shift[2, 3] == 6.0
    assert half.motion[2, 3] == seen.motion[2, 3] == 1.0


def test_what_is_not_read_hides_no_damage(camera: SyntheticCamera) -> None:
    evidence = CodecEvidence(camera.grid)
    evidence.observe(FrameSignals("P", 900, valid=False, extracted=False), 128, 96)
    assert evidence.cells() is None
