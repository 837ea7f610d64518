"""Extension point for extractors that provide more than motion: a patched decoder that gives
skipped blocks and residuals, or NVDEC's decode statistics. Shows what an extractor must provide,
and that neither tracker nor other policies change.

The residuals here are computed from the decoded pictures: the difference of each block from the
frame before.
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
    """Mean of each macroblock: [h, w] -> [h / 16, w / 16]."""
    high, wide = plane.shape
    return plane.reshape(high // 16, 16, wide // 16, 16).mean(axis=(1, 3)).astype(np.float32)


class ResidualExtractor:
    """Adds `residual`, `skip` and `qp` to the decoder's signals."""

    def __init__(self) -> None:
        self._previous: NDArray[np.float64] | None = None

    def enrich(self, frame: Frame) -> Frame:
        current = frame.picture.to_ndarray(format="gray").astype(np.float64)
        previous, self._previous = self._previous, current
        if previous is None or frame.signals.frame_type == "I":
            return frame
        residual = blocks(np.abs(current - previous))
        skip = (residual < 1).astype(np.float32)
        qp = np.full(residual.shape, 23, np.float32)
        return replace(frame, signals=replace(frame.signals, residual=residual, skip=skip, qp=qp))


class ResidualPolicy:
    """Keeps the cells in which some block has a residual above `min_residual` grey levels."""

    anchor_threshold = 1.0
    detects_transients = False
    motion_interval_s = 0.0

    def __init__(self, min_residual: float = 4.0) -> None:
        self._min_residual = min_residual
        self._peak = np.zeros((15, 20), np.float32)

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        if signals.residual is not None:
            assert signals.residual.shape == (-(-height // 16), -(-width // 16))
            np.maximum(self._peak, signals.residual, out=self._peak)

    def on_sample(self) -> None:
        pass

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:  # noqa: ARG002
        peak = projection((15, 20), 16, (240, 320), GRID).peak(self._peak)
        self._peak[:] = 0
        return (peak > self._min_residual) * np.uint8(Reason.PIXELS)

    def ignore(self, mask: NDArray[np.bool_]) -> None:
        pass

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:  # noqa: ARG002
        self._peak[:] = 0


def track(tracker: ChangeTracker, frames: list[Frame]) -> list[Slot]:
    return [slot for frame in frames if (slot := tracker.feed(frame)) is not None]


def moving_square_frames() -> list[Frame]:
    info, packets = encode(moving_square(40, (4, 0), (8, 80)))
    return decode(Decoder(info), packets)


def test_policies_that_ignore_richer_signals_decide_as_before() -> None:
    extractor, frames = ResidualExtractor(), moving_square_frames()
    plain = track(ChangeTracker(GRID, TrackedPolicy(GRID), 8), frames)
    rich = [extractor.enrich(frame) for frame in frames]
    assert rich[5].signals.residual is not None
    for a, b in zip(plain, track(ChangeTracker(GRID, TrackedPolicy(GRID), 8), rich), strict=True):
        assert np.array_equal(a.kept, b.kept)
        assert np.array_equal(a.reasons, b.reasons)


def test_a_policy_can_use_residuals_with_an_unchanged_tracker() -> None:
    extractor = ResidualExtractor()
    frames = [extractor.enrich(frame) for frame in moving_square_frames()]
    made = track(ChangeTracker(GRID, ResidualPolicy(), 8), frames)
    deltas = [slot for slot in made if slot.kind is SlotKind.DELTA]
    assert len(deltas) >= 2
    for slot in deltas:
        assert slot.kept[2:4].any()  # the square's path
        assert not slot.kept[[0, 5]].any()
