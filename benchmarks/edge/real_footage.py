"""The same measures on real footage, where people have said what is to be seen.

`vtest`: boxes around people, frame by frame. A cell has changed when a person's box covers it that
did not when it was last shipped, or the other way round, or when the box moved by MOVED since. A
box is a frame around a person, not a person: its core counts, and only where it covers a cell by
SHARE, or half of all cells would be said to change for the air between two legs.

`one_by_one`: the seconds in which a person is present.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.edge.accuracy import ANCHOR_EVERY, POLICIES, SPECS, Score
from codecsight.change.policies import ChangePolicy, RandomPolicy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import decode_stream

VTEST, VTEST_FPS = "vtest_h264_10fps_gop50.mp4", 10
ONE_BY_ONE = "one_by_one.mp4"
MOVED = 4.0  # pixels of the source
CORE = 0.6  # of a box's width belongs to the person in it
SHARE = 0.1

Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of the picture


def rows(clips: Path) -> list[dict[str, Any]]:
    """Results of the clips that there are."""
    results: list[dict[str, Any]] = []
    if (clips / VTEST).exists() and (clips / "vtest.boxes.txt").exists():
        results += vtest(clips)
    if (clips / ONE_BY_ONE).exists():
        results += _one_by_one(clips)
    return results


@dataclass
class _People:
    """Who was where when each cell was last shipped: cell -> person -> place of the core."""

    grid: PatchGrid
    boxes: dict[int, dict[int, Box]]
    shipped: dict[tuple[int, int], dict[int, Box]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def changed(self, number: int) -> NDArray[np.bool_]:
        """The cells people touch otherwise than when they were shipped."""
        mask = np.zeros((self.grid.rows, self.grid.cols), np.bool_)
        for cell, people in self._touching(number).items():
            before = self.shipped[cell]
            mask[cell] = any(_moved(box, before.get(person)) for person, box in people.items())
        return mask

    def ship(self, number: int, kept: NDArray[np.bool_]) -> None:
        """These cells of that frame went out."""
        touching = self._touching(number)
        for row, col in np.argwhere(kept):
            self.shipped[row, col] = touching.get((row, col), {})

    def _touching(self, number: int) -> dict[tuple[int, int], dict[int, Box]]:
        touching: dict[tuple[int, int], dict[int, Box]] = defaultdict(dict)
        for person, box in self.boxes.get(number, {}).items():
            across = _covered(box[0], box[2], self.grid.cols)
            down = _covered(box[1], box[3], self.grid.rows)
            for row, col in np.argwhere(np.outer(down, across) >= SHARE):
                touching[row, col][person] = box
        return touching


def _covered(start: float, end: float, cells: int) -> NDArray[np.float64]:
    """The share of each cell, along one axis, that lies between."""
    edges = np.arange(cells + 1) / cells
    between = np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])
    covered: NDArray[np.float64] = np.clip(between, 0, None) * cells
    return covered


def _moved(box: Box, before: Box | None) -> bool:
    if before is None:
        return True
    size = np.array([768, 576, 768, 576])
    return bool((np.abs(np.subtract(box, before) * size) >= MOVED).any())


def _boxes(path: Path) -> dict[int, dict[int, Box]]:
    """Frame number -> person -> the core of the box (MOTChallenge: frames from 1, pixels)."""
    boxes: dict[int, dict[int, Box]] = defaultdict(dict)
    for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
        left, top, width, height = (float(value) for value in row[2:6])
        left, width = left + width * (1 - CORE) / 2, width * CORE
        box = left / 768, top / 576, (left + width) / 768, (top + height) / 576
        boxes[int(row[0]) - 1][int(row[1])] = box
    return boxes


def vtest(clips: Path, specs: Sequence[GridSpec] = SPECS) -> list[dict[str, Any]]:
    """Every policy on people walking, on every grid."""
    boxes, results = _boxes(clips / "vtest.boxes.txt"), []
    for spec in specs:
        grid, kept = spec.fit(768, 576), 0.0
        for name in (*POLICIES, "random"):
            policy = RandomPolicy(grid, kept) if name == "random" else POLICIES[name](grid)
            score = _score(clips / VTEST, policy, _People(grid, boxes), grid)
            kept = score.kept / score.cells if name == "tracked" else kept
            results.append(_row("vtest", "real, boxes", name, grid, score))
    return results


def _score(path: Path, policy: ChangePolicy, people: _People, grid: PatchGrid) -> Score:
    tracker, score = ChangeTracker(grid, policy, ANCHOR_EVERY), Score()
    for slot, decided in _slots(path, tracker):
        number = round(slot.times[-1] * VTEST_FPS)
        if decided:
            changed = people.changed(number)
            found = int((changed & slot.kept).sum())
            kept = int(slot.kept.sum())
            score += Score(changed.size, kept, int(changed.sum()), found)
        people.ship(number, slot.kept)
    return score


def _one_by_one(clips: Path) -> list[dict[str, Any]]:
    events = json.loads((clips / "one_by_one.events.json").read_text(encoding="utf-8"))
    visits = [(float(a), float(b)) for a, b in events["person_present_s"]]
    results = []
    for spec in SPECS:
        for name in ("tracked", "published-0.25", "published-0.5", "pixels"):
            first = next(decode_stream(open_source(str(clips / ONE_BY_ONE)).items()))
            grid = spec.fit(first.width, first.height)
            tracker = ChangeTracker(grid, POLICIES[name](grid), ANCHOR_EVERY)
            slots = list(_slots(clips / ONE_BY_ONE, tracker))
            empty = [s for s, decided in slots if decided and _empty(s, visits)]
            kept = sum(s.kept_count for s in empty)
            score = Score(cells=len(empty) * grid.cells, kept=kept)
            row = _row("one_by_one", "real, empty", name, grid, score)
            seen = sum(_seen([s for s, _ in slots], start) for start, _ in visits)
            results.append({**row, "visits": len(visits), "visits_detected": seen})
    return results


def _empty(slot: Slot, visits: list[tuple[float, float]]) -> bool:
    """Whether nobody is there, nor was a second before or will be a second later."""
    return all(slot.times[-1] < a - 1 or slot.times[0] > b + 2 for a, b in visits)


def _seen(slots: list[Slot], start: float) -> bool:
    """Whether the first sample after a visit's begin is in a slot that keeps something for it."""
    slot = next(s for s in slots if s.times[-1] >= start + 0.3)
    return bool(np.isin(slot.reasons, [Reason.MOTION, Reason.INTRA, Reason.PIXELS]).any()) or (
        slot.kind is SlotKind.ANCHOR
    )


def _slots(path: Path, tracker: ChangeTracker) -> Iterator[tuple[Slot, bool]]:
    """The slots, and of each whether the policy decided on it: also of those that are whole
    because so much changed.
    """
    busy = 0
    for frame in decode_stream(open_source(str(path)).items(), lambda: tracker.motion_interval_s):
        slot = tracker.feed(frame)
        if slot is not None:
            before, busy = busy, tracker.counters.anchors["mass_change"]
            yield slot, slot.kind is SlotKind.DELTA or busy > before


def _row(clip: str, condition: str, name: str, grid: PatchGrid, score: Score) -> dict[str, Any]:
    shape = f"{grid.rows}x{grid.cols}"
    return {"clip": clip, "condition": condition, "policy": name, "grid": shape, **score.row()}
