"""From decoded frames to slots: sampling, the anchor's rhythm, and what was shipped."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codecsight.change.policies.policy import ChangePolicy, Reasons
from codecsight.change.sampler import FrameSampler, SamplingRange
from codecsight.change.transients import TransientDetector
from codecsight.core.frame import Frame
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.patches.cut import cut, paste
from codecsight.video.codec.resizer import Resizer


@dataclass(slots=True)
class TrackerCounters:
    """What a tracker did since it began. `anchors` counts anchors by cause (start, forced, rhythm,
    resized, recovered, busy), `reasons` kept cells by reason, `between` samples that were taken
    earlier than due, to show what would have come and gone unseen.
    """

    slots: int = 0
    kept: int = 0
    total: int = 0
    transients: int = 0
    anchors: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Sample:
    picture: NDArray[np.uint8]
    time: float
    capture_time: float


class ChangeTracker:
    """Turns one stream's frames into slots on `grid`; `anchor_every` slots one is whole. With
    `follow` the rate of sampling follows what happens.

    The loop is closed: cells are judged against what was last *shipped* for them, never against
    the previous frame, so that slow drift is not lost. When something that left the tracker did
    not arrive, `force_anchor` must be called, or the tracker believes in content nobody has.
    """

    def __init__(
        self,
        grid: PatchGrid,
        policy: ChangePolicy,
        anchor_every: int,
        follow: SamplingRange | None = None,
    ) -> None:
        self.grid = grid
        self.counters = TrackerCounters()
        self._policy = policy
        self._anchor_every = anchor_every
        self._sampler = FrameSampler(grid.spec.rate, follow)
        slowest = follow.floor if follow else grid.spec.rate
        self._longest = max(2 * grid.spec.slot_seconds, 2 / slowest)
        self._resizer = Resizer(grid.width, grid.height)
        self._between = TransientDetector(grid)
        self._before: NDArray[np.uint8] | None = None
        self._touched = np.zeros((grid.rows, grid.cols), np.bool_)
        self._samples: list[_Sample] = []
        self._shipped: NDArray[np.uint8] | None = None
        self._since_anchor = 0
        self._size: tuple[int, int] | None = None
        self._whole = True
        self._pending = "start"

    @property
    def last_shipped(self) -> NDArray[np.uint8] | None:
        """What the other end has of every cell: [frames, h, w, 3] RGB; None before any slot."""
        return self._shipped

    @property
    def motion_interval_s(self) -> float:
        """How often the decoder must read the codec's motion just now (see ChangePolicy)."""
        return self._policy.motion_interval_s

    def force_anchor(self) -> None:
        """The next slot holds every cell: what was shipped before is not known to have arrived."""
        self._pending = self._pending or "forced"

    def feed(self, frame: Frame) -> Slot | None:
        """Take in one decoded frame; returns the slot it completes, if any."""
        size = frame.width, frame.height
        self._check_size(size)
        self._check_whole(frame)
        self._policy.observe(frame.signals, *size)
        if not self._sampler.should_sample(frame.time):
            if self._policy.detects_transients:
                self._between.look(frame)
            return None
        self._drop_stale(frame.time)
        self._policy.on_sample()
        self._samples.append(self._sample(frame))
        if len(self._samples) < self.grid.spec.frames:
            return None
        samples, self._samples = self._samples, []
        slot = self._finish(samples)
        self._touched[:] = False
        return slot

    def _sample(self, frame: Frame) -> _Sample:
        """The frame, or the one before it that shows what has come and gone in the meantime."""
        sample = self._taken(frame)
        if self._policy.detects_transients:
            passing, before = self._between.on_sample(frame), self._before
            if passing is not None and before is not None:
                instead = self._taken(passing.frame)
                if self._between.confirms(instead.picture, before, sample.picture):
                    self.counters.transients += 1
                    self._touched |= passing.cells
                    sample = instead
            self._before = sample.picture
        return sample

    def _taken(self, frame: Frame) -> _Sample:
        return _Sample(self._resizer.rgb(frame), frame.time, frame.capture_time)

    def _check_size(self, size: tuple[int, int]) -> None:
        if self._size is not None and size != self._size:
            self._pending = self._pending or "resized"
        self._size = size

    def _check_whole(self, frame: Frame) -> None:
        """After damage all is shipped anew, and nothing damaged is part of it."""
        if frame.signals.valid and not self._whole:
            self._pending = self._pending or "recovered"
            self._samples = []
        self._whole = frame.signals.valid

    def _drop_stale(self, time: float) -> None:
        """A slot is a short stretch of time: samples from before a gap or a jump are no part."""
        if not self._samples:
            return
        age = time - self._samples[-1].time
        if age <= 0:
            self.force_anchor()
        if not 0 < age <= self._longest:
            self._samples = []

    def _finish(self, samples: list[_Sample]) -> Slot:
        pictures = np.stack([sample.picture for sample in samples])
        reasons = self._decide(pictures)
        anchor, kept = bool((reasons == Reason.ANCHOR).all()), reasons > 0
        patches = cut(pictures, kept)
        self._remember(pictures, kept, patches, anchor)
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
        """Why each cell is kept: all of them ANCHOR when the slot is one."""
        cause = self._pending
        if not cause and self._since_anchor + 1 >= self._anchor_every:
            cause = "scheduled"
        if not cause and self._shipped is not None:
            reasons = self._policy.decide(pictures, self._shipped)
            reasons[self._touched & (reasons == 0)] = Reason.MOTION
            share = float((reasons > 0).mean())
            self._sampler.report_activity(share)
            if share <= self._policy.anchor_threshold:
                return reasons
            cause = "mass_change"
        self.counters.anchors[cause] += 1
        return np.full((self.grid.rows, self.grid.cols), Reason.ANCHOR, np.uint8)

    def _remember(
        self,
        pictures: NDArray[np.uint8],
        kept: NDArray[np.bool_],
        patches: NDArray[np.uint8],
        anchor: bool,
    ) -> None:
        if self._shipped is None or anchor:
            self._shipped = pictures
            self._policy.on_anchor(pictures)
            self._since_anchor, self._pending = 0, ""
        else:
            paste(self._shipped, kept, patches)
            self._since_anchor += 1

    def _count(self, reasons: Reasons) -> None:
        counters = self.counters
        counters.slots += 1
        counters.kept += int((reasons > 0).sum())
        counters.total += reasons.size
        counts = np.bincount(reasons.ravel(), minlength=len(Reason) + 1)
        counters.reasons.update({why: int(counts[why]) for why in Reason if counts[why]})
