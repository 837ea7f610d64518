"""Change tracking for one stream: decoded frames in, slots (anchors and deltas) out.

Example: a 6 x 8 grid of 16-pixel cells, two frames a slot at two samples a second. Frames sampled
at 0.0 and 0.5 s, [2, 96, 128, 3] together, make one slot per second. The policy returns reasons
[6, 8], and the slot carries patches [kept, 2, 3, 16, 16] of the kept cells.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from codecsight.change.ignore import Polygon, covered_cells, pixel_mask
from codecsight.change.policies.policy import ChangePolicy, Reasons
from codecsight.change.sampler import FramePace, FrameSampler, SamplingRange
from codecsight.change.transients import TransientDetector
from codecsight.core.frame import Frame
from codecsight.core.grid import PatchGrid
from codecsight.core.holes import HOLE_S, HoleFinder
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.patches.cut import cut, paste
from codecsight.video.codec.resizer import Resizer

REPEAT_STEP_S = 0.0001
"""Time from a sample to its repetition. Times must rise, and frames are at least 1 ms apart."""


@dataclass(slots=True)
class TrackerCounters:
    """Totals since the tracker was created.

    `kept` and `total` count cells, `anchors` anchors by cause (start, forced, scheduled, resized,
    recovered, mass_change), `reasons` kept cells by reason, `transients` samples replaced by an
    earlier frame that shows a transient, `repeated` samples that repeat the one before.
    """

    slots: int = 0
    kept: int = 0
    total: int = 0
    transients: int = 0
    repeated: int = 0
    anchors: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Sample:
    picture: NDArray[np.uint8]
    time: float
    capture_time: float


class ChangeTracker:
    """Turns the frames of one stream into slots on `grid`, with an anchor every `anchor_every`
    slots. With a `sampling_range`, the sampling rate follows activity (see FrameSampler).

    What changes within the polygons `ignore` keeps no cell; cells that are kept for something else,
    and anchors, show these places as they are.

    The loop is closed: cells are compared with what was last *shipped* for them, never with the
    previous frame, so that slow drift adds up and is not lost. Where a camera sends too few frames
    for the samples of a slot, a frame is repeated. If a slot did not arrive, call
    `force_anchor`; otherwise later deltas build on content that the receiver does not have.
    """

    def __init__(
        self,
        grid: PatchGrid,
        policy: ChangePolicy,
        anchor_every: int,
        sampling_range: SamplingRange | None = None,
        ignore: Sequence[Polygon] = (),
    ) -> None:
        self.grid = grid
        self.counters = TrackerCounters()
        self._policy = policy
        self._anchor_every = anchor_every
        self._sampler = FrameSampler(grid.spec.rate, sampling_range)
        min_fps = sampling_range.min_fps if sampling_range else grid.spec.rate
        self._max_sample_gap = max(2 * grid.spec.slot_seconds, 2 / min_fps)
        self._pace = FramePace(self._max_sample_gap)
        self._holes = HoleFinder(max(HOLE_S, self._max_sample_gap))
        self._resizer = Resizer(grid.width, grid.height)
        self._transients = TransientDetector(grid)
        self._ignored_cells = np.zeros((grid.rows, grid.cols), np.bool_)
        self._ignore(ignore)
        self._previous_sample: NDArray[np.uint8] | None = None
        # Cells that transients of this slot touched.
        self._touched = np.zeros((grid.rows, grid.cols), np.bool_)
        self._samples: list[_Sample] = []
        self._shipped: NDArray[np.uint8] | None = None
        self._since_anchor = 0
        self._size: tuple[int, int] | None = None
        self._valid = True
        self._anchor_cause = "start"  # why the next slot must be an anchor; empty if it need not

    def _ignore(self, polygons: Sequence[Polygon]) -> None:
        if polygons:
            mask = pixel_mask(polygons, self.grid.width, self.grid.height)
            self._ignored_cells = covered_cells(mask, self.grid)
            self._policy.ignore(mask)
            self._transients.ignore(mask)

    @property
    def last_shipped(self) -> NDArray[np.uint8] | None:
        """What was last shipped for each cell: [frames, h, w, 3] RGB; None before any slot."""
        return self._shipped

    @property
    def motion_interval_s(self) -> float:
        """How often the decoder must extract the codec's motion (see ChangePolicy)."""
        return self._policy.motion_interval_s

    def force_anchor(self) -> None:
        """Make the next slot an anchor, because what was shipped may not have arrived."""
        self._anchor_cause = self._anchor_cause or "forced"

    def feed(self, frame: Frame) -> Slot | None:
        """Process one decoded frame. Returns the slot that it completes, if any."""
        self._check_size(frame.shown_size)
        self._check_validity(frame)
        self._pace.observe(frame.time)
        self._policy.observe(frame.signals, frame.picture.width, frame.picture.height)
        if not self._sampler.should_sample(frame.time):
            if self._policy.detects_transients:
                self._transients.observe(frame)
            return None
        self._drop_stale_samples(frame.time)
        self._policy.on_sample()
        self._samples.append(self._sample(frame))
        if self._pace.is_slow:
            self._repeat_last_sample()
        return self._complete_slot()

    def flush(self) -> Slot | None:
        """The slot of a stream that ended before its first one, such as a still picture."""
        if self.counters.slots or not self._samples:
            return None
        self._repeat_last_sample()
        return self._complete_slot()

    def _repeat_last_sample(self) -> None:
        """Fill the slot with the last sample: the next one will be too late for it."""
        while len(self._samples) < self.grid.spec.frames:
            last = self._samples[-1]
            self._policy.on_sample()
            self._samples.append(replace(last, time=last.time + REPEAT_STEP_S))
            self.counters.repeated += 1

    def _complete_slot(self) -> Slot | None:
        if len(self._samples) < self.grid.spec.frames:
            return None
        samples, self._samples = self._samples, []
        slot = self._make_slot(samples)
        self._touched[:] = False
        return slot

    def _sample(self, frame: Frame) -> _Sample:
        """The frame, or an earlier one that shows a transient since the last sample."""
        sample = self._resized(frame)
        if self._policy.detects_transients:
            transient, previous = self._transients.on_sample(frame), self._previous_sample
            if transient is not None and previous is not None:
                replacement = self._resized(transient.frame)
                if self._transients.confirms(replacement.picture, previous, sample.picture):
                    self.counters.transients += 1
                    self._touched |= transient.cells
                    sample = replacement
            self._previous_sample = sample.picture
        return sample

    def _resized(self, frame: Frame) -> _Sample:
        return _Sample(self._resizer.rgb(frame), frame.time, frame.capture_time)

    def _check_size(self, size: tuple[int, int]) -> None:
        if self._size is not None and size != self._size:
            self._anchor_cause = self._anchor_cause or "resized"
        self._size = size

    def _check_validity(self, frame: Frame) -> None:
        """After damage, start a new slot, as an anchor, at the first valid frame."""
        if frame.signals.valid and not self._valid:
            self._anchor_cause = self._anchor_cause or "recovered"
            self._samples = []
        self._valid = frame.signals.valid

    def _drop_stale_samples(self, time: float) -> None:
        """Drop samples from before a gap or a jump in time: a slot covers a short span of time."""
        if not self._samples:
            return
        age = time - self._samples[-1].time
        if age <= 0:
            self.force_anchor()
        if not 0 < age <= self._max_sample_gap:
            self._samples = []

    def _make_slot(self, samples: list[_Sample]) -> Slot:
        pictures = np.stack([sample.picture for sample in samples])
        if self._holes.add([sample.time for sample in samples]):
            self._anchor_cause = self._anchor_cause or "gap"
        reasons = self._decide(pictures)
        anchor, kept = bool((reasons == Reason.ANCHOR).all()), reasons > 0
        patches = cut(pictures, kept)
        self._record_shipped(pictures, kept, patches, anchor)
        self._count(reasons)
        return Slot(
            kind=SlotKind.ANCHOR if anchor else SlotKind.DELTA,
            kept=kept,
            patches=patches,
            reasons=reasons[kept],
            times=tuple(sample.time for sample in samples),
            capture_time=samples[-1].capture_time,
        )

    def _decide(self, pictures: NDArray[np.uint8]) -> Reasons:
        """Why each cell is kept, [rows, cols]; ANCHOR for all cells if the slot is an anchor."""
        cause = self._anchor_cause
        if not cause and self._since_anchor + 1 >= self._anchor_every:
            cause = "scheduled"
        if not cause and self._shipped is not None:
            reasons = self._policy.decide(pictures, self._shipped)
            # Something passed between two samples: the codec saw it move, the samples did not.
            reasons[self._touched & (reasons == 0)] = Reason.MOTION
            reasons[self._ignored_cells] = 0
            share = float((reasons > 0).mean())
            self._sampler.report_activity(share)
            if share <= self._policy.anchor_threshold:
                return reasons
            cause = "mass_change"
        self.counters.anchors[cause] += 1
        return np.full((self.grid.rows, self.grid.cols), Reason.ANCHOR, np.uint8)

    def _record_shipped(
        self,
        pictures: NDArray[np.uint8],
        kept: NDArray[np.bool_],
        patches: NDArray[np.uint8],
        anchor: bool,
    ) -> None:
        if self._shipped is None or anchor:
            self._shipped = pictures
            self._policy.on_anchor(pictures)
            self._since_anchor, self._anchor_cause = 0, ""
        else:
            paste(self._shipped, kept, patches)
            self._since_anchor += 1

    def _count(self, reasons: Reasons) -> None:
        counters = self.counters
        counters.slots += 1
        counters.kept += int((reasons > 0).sum())
        counters.total += reasons.size
        counts = np.bincount(reasons.ravel(), minlength=len(Reason) + 1)
        counters.reasons.update(
            {reason: int(counts[reason]) for reason in Reason if counts[reason]}
        )
