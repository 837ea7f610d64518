"""Change policies of the benchmark, those that only a benchmark needs included."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.streams import Setting
from codecsight.change.policies import (
    ChangePolicy,
    EverythingPolicy,
    PixelPolicy,
    PublishedPolicy,
    RandomPolicy,
    TrackedPolicy,
)
from codecsight.change.tracker import ChangeTracker
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason, Slot, SlotKind

Mask = NDArray[np.bool_]
Make = Callable[[PatchGrid], ChangePolicy]


class SampledOnly(PublishedPolicy):
    """The published rule on the motion vectors of sampled frames alone; those of the frames between
    them are ignored.
    """

    def __init__(self, grid: PatchGrid, tau: float) -> None:
        super().__init__(grid, tau)
        self._last: tuple[FrameSignals, int, int] | None = None

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Hold the newest signals until a frame is sampled."""
        self._last = signals, width, height

    def on_sample(self) -> None:
        """Observe the sampled frame's signals."""
        assert self._last is not None
        super().observe(*self._last)


OWN_POLICIES: dict[str, Make] = {
    "everything": EverythingPolicy,
    "tracked": TrackedPolicy,
    "pixels": PixelPolicy,
}
PUBLISHED_POLICIES: dict[str, Make] = {
    "published-0.25": lambda grid: PublishedPolicy(grid, tau=0.25),
    "published-0.5": lambda grid: PublishedPolicy(grid, tau=0.5),
    "published-0.25-sampled": lambda grid: SampledOnly(grid, tau=0.25),
    "published-0.5-sampled": lambda grid: SampledOnly(grid, tau=0.5),
}
FREQUENT_ANCHORS = "tracked-2"
ANCHOR_INTERVALS = {FREQUENT_ANCHORS: 2, "tracked-8": 8}
"""`tracked` with more and with fewer anchors: slots from anchor to anchor."""


def trackers(grid: PatchGrid, setting: Setting, *, plain: bool) -> dict[str, ChangeTracker]:
    """Return a tracker for every policy that decides by frames and their signals."""
    own = {name: (make, setting.anchor_every) for name, make in OWN_POLICIES.items()}
    published = {
        name: (make, setting.published_anchor) for name, make in PUBLISHED_POLICIES.items()
    }
    measured = ANCHOR_INTERVALS if plain else {FREQUENT_ANCHORS: ANCHOR_INTERVALS[FREQUENT_ANCHORS]}
    intervals = {name: (OWN_POLICIES["tracked"], interval) for name, interval in measured.items()}
    return {
        name: ChangeTracker(grid, make(grid), interval)
        for name, (make, interval) in {**own, **intervals, **published}.items()
    }


def random_slots(
    whole: Sequence[Slot], tracked: Sequence[Slot], grid: PatchGrid, seed: int
) -> list[Slot]:
    """Choose cells at random: the anchors of `tracked`, and as many cells in deltas on average."""
    anchors = {index for index, slot in enumerate(tracked) if slot.kind is SlotKind.ANCHOR}
    deltas = [slot for index, slot in enumerate(tracked) if index not in anchors]
    share = float(np.mean([slot.kept.mean() for slot in deltas])) if deltas else 0.0
    policy = RandomPolicy(grid, share, seed)
    empty = np.zeros(0, np.uint8)
    return [
        replace(slot, kind=SlotKind.ANCHOR)
        if index in anchors
        else prune(slot, policy.decide(empty, empty) > 0)
        for index, slot in enumerate(whole)
    ]


def prune(whole: Slot, kept: Mask) -> Slot:
    """Return a delta with only the cells `kept` [rows, cols] of a whole slot."""
    patches = whole.patches[kept[whole.kept]]
    reasons = np.full(len(patches), Reason.REFRESH, np.uint8)
    return replace(whole, kind=SlotKind.DELTA, kept=kept, patches=patches, reasons=reasons)
