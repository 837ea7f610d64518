"""The seam for extractors that know more than motion: a patched decoder that gives skipped blocks
and residuals, or NVDEC's decode statistics. What one must give, and that nothing else is touched.

The richer account here is real: how far each block is from its motion-compensated prediction is
worked out from the decoded pictures.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.projection import projection
from codecsight.change.policies import TrackedPolicy
from codecsight.change.policies.policy import Reasons
from codecsight.change.tracker import ChangeTracker
from codecsight.core.frame import Frame, FrameSignals
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.video.codec.decoder import Decoder
from tests.video.scenes import decode, encode, moving_square

GRID = GridSpec(cell=16, frames=2, rate=5.0, max_cells=48).fit(320, 240)


def blocks(plane: NDArray[np.float64]) -> NDArray[np.float32]:
    """The mean of every macroblock."""
    high, wide = plane.shape
    return plane.reshape(high // 16, 16, wide // 16, 16).mean(axis=(1, 3)).astype(np.float32)


class Extractor:
    """Adds to what a decoder says how much of each block was not in the frame before."""

    def __init__(self) -> None:
        self._before: NDArray[np.float64] | None = None

    def enriched(self, frame: Frame) -> Frame:
        now = frame.picture.to_ndarray(format="gray").astype(np.float64)
        before, self._before = self._before, now
        if before is None or frame.signals.frame_type == "I":
            return frame
        residual = blocks(np.abs(now - before))
        skip = (residual < 1).astype(np.float32)
        qp = np.full(residual.shape, 23, np.float32)
        return replace(frame, signals=replace(frame.signals, residual=residual, skip=skip, qp=qp))


class ResidualPolicy:
    """Keeps the cells in which some block needed more than `least` grey levels."""

    anchor_threshold = 1.0
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, least: float = 4.0) -> None:
        self._least = least
        self._most = np.zeros((15, 20), np.float32)

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        if signals.residual is not None:
            assert signals.residual.shape == (-(-height // 16), -(-width // 16))
            np.maximum(self._most, signals.residual, out=self._most)

    def on_sample(self) -> None:
        pass

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:  # noqa: ARG002
        peak = projection((15, 20), 16, (240, 320), GRID).peak(self._most)
        self._most[:] = 0
        return (peak > self._least) * np.uint8(Reason.PIXELS)

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:  # noqa: ARG002
        self._most[:] = 0


def slots(tracker: ChangeTracker, frames: list[Frame]) -> list[Slot]:
    return [slot for frame in frames if (slot := tracker.feed(frame)) is not None]


def film() -> list[Frame]:
    info, packets = encode(moving_square(40, (4, 0), (8, 80)))
    return decode(Decoder(info), packets)


def test_a_richer_account_changes_nothing_for_who_does_not_read_it() -> None:
    extractor, frames = Extractor(), film()
    plain = slots(ChangeTracker(GRID, TrackedPolicy(GRID), 8), frames)
    rich = [extractor.enriched(frame) for frame in frames]
    assert rich[5].signals.residual is not None
    for a, b in zip(plain, slots(ChangeTracker(GRID, TrackedPolicy(GRID), 8), rich), strict=True):
        assert np.array_equal(a.kept, b.kept)
        assert np.array_equal(a.reasons, b.reasons)


def test_a_policy_can_live_on_it_with_the_tracker_as_it_is() -> None:
    extractor = Extractor()
    frames = [extractor.enriched(frame) for frame in film()]
    made = slots(ChangeTracker(GRID, ResidualPolicy(), 8), frames)
    deltas = [slot for slot in made if slot.kind is SlotKind.DELTA]
    assert len(deltas) >= 2
    for slot in deltas:
        assert slot.kept[2:4].any()  # where the square goes
        assert not slot.kept[[0, 5]].any()
