"""Accuracy of change policies: how many changed cells they ship, and how many unchanged ones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.edge.ground_truth import ShippedScene
from benchmarks.edge.world_clips import WorldClip
from codecsight.change.policies import (
    ChangePolicy,
    EverythingPolicy,
    PixelPolicy,
    PublishedPolicy,
    RandomPolicy,
    TrackedPolicy,
)
from codecsight.change.tracker import ChangeTracker
from codecsight.core.frame import Frame
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import Slot, SlotKind
from codecsight.video.codec.decoder import decode_stream

ANCHOR_EVERY = 8
"""Slots from anchor to anchor for all policies: the published rule's 16 frames at 2 per second."""

SPECS = (
    GridSpec(cell=32, frames=2, rate=2.0, max_cells=144),  # Qwen3-VL's cells
    GridSpec(cell=16, frames=2, rate=2.0, max_cells=48),  # the default model's
)
POLICIES: dict[str, Callable[[PatchGrid], ChangePolicy]] = {
    "tracked": TrackedPolicy,
    "published-0.25": lambda grid: PublishedPolicy(grid, tau=0.25),
    "published-0.5": lambda grid: PublishedPolicy(grid, tau=0.5),
    "pixels": PixelPolicy,
    "everything": EverythingPolicy,
}


@dataclass(slots=True)
class Score:
    """Counts of cells over a clip: all that were judged, those kept, those truly changed, and those
    of the changed ones that were kept.
    """

    cells: int = 0
    kept: int = 0
    changed: int = 0
    found: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.cells + other.cells,
            self.kept + other.kept,
            self.changed + other.changed,
            self.found + other.found,
        )

    def row(self) -> dict[str, float | None]:
        """Measures for a row of the result; None where undefined."""
        recall = self.found / self.changed if self.changed else None
        return {
            "recall": None if recall is None else round(recall, 4),
            "stale_moved": None if recall is None else round(1 - recall, 4),
            "kept_over_changed": round(self.kept / self.changed, 3) if self.changed else None,
            "reuse": round(1 - self.kept / self.cells, 4) if self.cells else None,
            "changed_share": round(self.changed / self.cells, 4) if self.cells else None,
        }


class PolicyRun:
    """One policy on one grid over one clip. Scheduled anchors are not judged, because the policy
    did not decide on them.
    """

    def __init__(self, clip: WorldClip, grid: PatchGrid, policy: ChangePolicy) -> None:
        self.score = Score()
        self.sets_motion_interval = isinstance(policy, TrackedPolicy)
        self._clip = clip
        self._tracker = ChangeTracker(grid, policy, ANCHOR_EVERY, ignore=clip.condition.ignore)
        self._shipped = [ShippedScene(clip, grid) for _ in range(grid.spec.frames)]
        self._last_number = 0
        self._mass_changes = 0

    def motion_interval_s(self) -> float:
        """See ChangePolicy."""
        return self._tracker.motion_interval_s

    def feed(self, frame: Frame) -> None:
        """Process a frame; judge the slot if the frame completes one."""
        slot = self._tracker.feed(frame)
        if slot is None:
            return
        numbers = [self._clip.frame_number(time) for time in slot.times]
        mass_changes = self._tracker.counters.anchors["mass_change"]
        if slot.kind is SlotKind.DELTA or mass_changes > self._mass_changes:
            self._judge(slot, numbers, self._clip.frame_number(frame.time))
        self._mass_changes = mass_changes
        for shipped, number in zip(self._shipped, numbers, strict=True):
            shipped.mark_shipped(number, slot.kept)
        self._last_number = self._clip.frame_number(frame.time)

    def _judge(self, slot: Slot, numbers: list[int], end: int) -> None:
        pairs = zip(self._shipped, numbers, strict=True)
        changed = _any(shipped.changed_cells(number) for shipped, number in pairs)
        if self._clip.condition.native:
            between = range(self._last_number + 1, end)
            changed |= _any(self._shipped[-1].changed_cells(number) for number in between)
        self.score += Score(
            changed.size,
            int(slot.kept.sum()),
            int(changed.sum()),
            int((changed & slot.kept).sum()),
        )


def score_default(
    clip: WorldClip, specs: Iterable[GridSpec] = SPECS
) -> dict[tuple[str, PatchGrid], Score]:
    """Scores of the default policy alone, as `score_policies`."""
    info, packets = clip.encoded()
    grids = [spec.fit(clip.width, clip.height) for spec in specs]
    runs = {("tracked", grid): PolicyRun(clip, grid, TrackedPolicy(grid)) for grid in grids}
    _feed_all(runs.values(), info, packets)
    return {key: each.score for key, each in runs.items()}


def score_policies(
    clip: WorldClip, specs: Iterable[GridSpec] = SPECS
) -> dict[tuple[str, PatchGrid], Score]:
    """Scores of every policy on every grid over one clip. `random` keeps as many cells as
    `tracked` did.
    """
    info, packets = clip.encoded()
    grids = [spec.fit(clip.width, clip.height) for spec in specs]
    runs = {
        (name, grid): PolicyRun(clip, grid, make(grid))
        for grid in grids
        for name, make in POLICIES.items()
    }
    _feed_all(runs.values(), info, packets)
    for grid in grids:
        tracked = runs["tracked", grid].score
        share = tracked.kept / tracked.cells if tracked.cells else 0.0
        runs["random", grid] = PolicyRun(clip, grid, RandomPolicy(grid, share, clip.seed))
    _feed_all([runs["random", grid] for grid in grids], info, packets)
    return {key: each.score for key, each in runs.items()}


def _feed_all(runs: Iterable[PolicyRun], info: StreamInfo, packets: list[Packet]) -> None:
    """Decode once for each policy that sets its motion interval, and once for the rest."""
    every_run = list(runs)
    rest = [each for each in every_run if not each.sets_motion_interval]
    alone = [[each] for each in every_run if each.sets_motion_interval]
    for group in [rest, *alone] if rest else alone:
        for frame in decode_stream([info, *packets], group[0].motion_interval_s):
            for each in group:
                each.feed(frame)


def _any(masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    combined: NDArray[np.bool_] = np.logical_or.reduce(list(masks))
    return combined
