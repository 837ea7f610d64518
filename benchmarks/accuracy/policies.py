"""The change policies that are held against each other, and those that only a bench needs."""

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
    """The published rule as it is when the vectors of sampled frames are all that is looked at, and
    those of the frames between them are lost.
    """

    def __init__(self, grid: PatchGrid, tau: float) -> None:
        super().__init__(grid, tau)
        self._last: tuple[FrameSignals, int, int] | None = None

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Remember nothing but the newest."""
        self._last = signals, width, height

    def sampled(self) -> None:
        """That one counts."""
        assert self._last is not None
        super().observe(*self._last)


OURS: dict[str, Make] = {
    "everything": EverythingPolicy,
    "tracked": TrackedPolicy,
    "pixels": PixelPolicy,
}
PUBLISHED: dict[str, Make] = {
    "published-0.25": lambda grid: PublishedPolicy(grid, tau=0.25),
    "published-0.5": lambda grid: PublishedPolicy(grid, tau=0.5),
    "published-0.25-sampled": lambda grid: SampledOnly(grid, tau=0.25),
    "published-0.5-sampled": lambda grid: SampledOnly(grid, tau=0.5),
}
FREQUENT_ANCHORS = "tracked-2"
ANCHOR_INTERVALS = {FREQUENT_ANCHORS: 2, "tracked-8": 8}
"""Ours with whole slots more often and more rarely."""


def trackers(grid: PatchGrid, setting: Setting, *, plain: bool) -> dict[str, ChangeTracker]:
    """A tracker for every policy that decides by what it sees."""
    ours = {name: (make, setting.anchor_every) for name, make in OURS.items()}
    theirs = {name: (make, setting.published_anchor) for name, make in PUBLISHED.items()}
    measured = ANCHOR_INTERVALS if plain else {FREQUENT_ANCHORS: ANCHOR_INTERVALS[FREQUENT_ANCHORS]}
    rhythms = {name: (OURS["tracked"], rhythm) for name, rhythm in measured.items()}
    return {
        name: ChangeTracker(grid, make(grid), rhythm)
        for name, (make, rhythm) in {**ours, **rhythms, **theirs}.items()
    }


def random_slots(
    whole: Sequence[Slot], tracked: Sequence[Slot], grid: PatchGrid, seed: int
) -> list[Slot]:
    """Chance, with as many cells as the tracker kept of this stream, and whole slots where its
    rhythm has them.
    """
    rhythm = [index for index, slot in enumerate(tracked) if slot.kind is SlotKind.ANCHOR]
    anchors = set(rhythm)
    deltas = [slot for index, slot in enumerate(tracked) if index not in anchors]
    share = float(np.mean([slot.kept.mean() for slot in deltas])) if deltas else 0.0
    policy = RandomPolicy(grid, share, seed)
    empty = np.zeros(0, np.uint8)
    return [
        replace(slot, kind=SlotKind.ANCHOR)
        if index in anchors
        else thinned(slot, policy.decide(empty, empty) > 0)
        for index, slot in enumerate(whole)
    ]


def thinned(whole: Slot, kept: Mask) -> Slot:
    """A delta of nothing but these cells [rows, cols] of a whole slot."""
    patches = whole.patches[kept[whole.kept]]
    reasons = np.full(len(patches), Reason.REFRESH, np.uint8)
    return replace(whole, kind=SlotKind.DELTA, kept=kept, patches=patches, reasons=reasons)
