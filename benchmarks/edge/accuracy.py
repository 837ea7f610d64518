"""How much of what changed is shipped, and how much is shipped that did not change."""

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
"""Slots from anchor to anchor: the published rule's 16 frames at 2 per second, for everybody."""

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
    """Cells counted over a clip: all that were judged, those kept, those truly changed, those of
    them that were kept.
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
        """The measures that go into a result."""
        recall = self.found / self.changed if self.changed else None
        return {
            "recall": None if recall is None else round(recall, 4),
            "stale_moved": None if recall is None else round(1 - recall, 4),
            "kept_over_changed": round(self.kept / self.changed, 3) if self.changed else None,
            "reuse": round(1 - self.kept / self.cells, 4) if self.cells else None,
            "changed_share": round(self.changed / self.cells, 4) if self.cells else None,
        }


class PolicyRun:
    """One policy on one grid over one film. Anchors that come by the rhythm are shipped like any
    others, but nobody decided on them: they are not judged.
    """

    def __init__(self, film: WorldClip, grid: PatchGrid, policy: ChangePolicy) -> None:
        self.score = Score()
        self.chooses = isinstance(policy, TrackedPolicy)
        self._film = film
        self._tracker = ChangeTracker(grid, policy, ANCHOR_EVERY)
        self._canvases = [ShippedScene(film, grid) for _ in range(grid.spec.frames)]
        self._seen = 0
        self._busy = 0

    def motion_interval_s(self) -> float:
        """See ChangePolicy."""
        return self._tracker.motion_interval_s

    def feed(self, frame: Frame) -> None:
        """Take in a frame, and judge the slot if it completes one."""
        slot = self._tracker.feed(frame)
        if slot is None:
            return
        numbers = [self._film.number(time) for time in slot.times]
        busy = self._tracker.counters.anchors["mass_change"]
        if slot.kind is SlotKind.DELTA or busy > self._busy:
            self._judge(slot, numbers, self._film.number(frame.time))
        self._busy = busy
        for canvas, number in zip(self._canvases, numbers, strict=True):
            canvas.ship(number, slot.kept)
        self._seen = self._film.number(frame.time)

    def _judge(self, slot: Slot, numbers: list[int], end: int) -> None:
        changed = _any(c.changed(n) for c, n in zip(self._canvases, numbers, strict=True))
        if self._film.condition.native:
            between = range(self._seen + 1, end)
            changed |= _any(self._canvases[-1].changed(n) for n in between)
        self.score += Score(
            changed.size,
            int(slot.kept.sum()),
            int(changed.sum()),
            int((changed & slot.kept).sum()),
        )


def scores(
    film: WorldClip, specs: Iterable[GridSpec] = SPECS
) -> dict[tuple[str, PatchGrid], Score]:
    """What every policy makes of a film, on every grid. Chance gets as many cells as the tracker
    took.
    """
    info, packets = film.encoded()
    grids = [spec.fit(film.width, film.height) for spec in specs]
    watched = {
        (name, grid): PolicyRun(film, grid, make(grid))
        for grid in grids
        for name, make in POLICIES.items()
    }
    _show(watched.values(), info, packets)
    for grid in grids:
        tracked = watched["tracked", grid].score
        share = tracked.kept / tracked.cells if tracked.cells else 0.0
        watched["random", grid] = PolicyRun(film, grid, RandomPolicy(grid, share, film.seed))
    _show([watched["random", grid] for grid in grids], info, packets)
    return {key: each.score for key, each in watched.items()}


def _show(watched: Iterable[PolicyRun], info: StreamInfo, packets: list[Packet]) -> None:
    """Decode for everybody who says how often to read the codec's motion, and once for the rest."""
    everybody = list(watched)
    rest = [each for each in everybody if not each.chooses]
    for together in [rest, *([each] for each in everybody if each.chooses)]:
        for frame in decode_stream([info, *packets], together[0].motion_interval_s):
            for each in together:
                each.feed(frame)


def _any(masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    together: NDArray[np.bool_] = np.logical_or.reduce(list(masks))
    return together
