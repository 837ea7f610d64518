"""Accuracy on real footage, against human annotations.

`vtest`: boxes around people in every frame. A cell has changed when a person's box covers it now
but not when it was last shipped, or the other way round, or when the box has moved by MOVED pixels
since. A box is larger than the person in it. So only its core counts, and only where it covers a
cell by SHARE; otherwise half of all cells would change for the space around people.

`one_by_one`: the times at which a person is present.
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
    """Rows of results for the clips that exist."""
    results: list[dict[str, Any]] = []
    if (clips / VTEST).exists() and (clips / "vtest.boxes.txt").exists():
        results += vtest(clips)
    if (clips / ONE_BY_ONE).exists():
        results += _one_by_one(clips)
    return results


@dataclass
class _ShippedPeople:
    """Where people were when each cell was last shipped: cell -> person -> core of the box."""

    grid: PatchGrid
    boxes: dict[int, dict[int, Box]]
    shipped: dict[tuple[int, int], dict[int, Box]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def changed_cells(self, number: int) -> NDArray[np.bool_]:
        """[rows, cols]: cells that people cover otherwise than when they were shipped."""
        mask = np.zeros((self.grid.rows, self.grid.cols), np.bool_)
        for cell, people in self._covering(number).items():
            before = self.shipped[cell]
            mask[cell] = any(_moved(box, before.get(person)) for person, box in people.items())
        return mask

    def mark_shipped(self, number: int, kept: NDArray[np.bool_]) -> None:
        """Record that the kept cells of frame `number` were shipped."""
        covering = self._covering(number)
        for row, col in np.argwhere(kept):
            self.shipped[row, col] = covering.get((row, col), {})

    def _covering(self, number: int) -> dict[tuple[int, int], dict[int, Box]]:
        covering: dict[tuple[int, int], dict[int, Box]] = defaultdict(dict)
        for person, box in self.boxes.get(number, {}).items():
            across = _covered(box[0], box[2], self.grid.cols)
            down = _covered(box[1], box[3], self.grid.rows)
            for row, col in np.argwhere(np.outer(down, across) >= SHARE):
                covering[row, col][person] = box
        return covering


def _covered(start: float, end: float, cells: int) -> NDArray[np.float64]:
    """Share of each cell, along one axis, that lies between `start` and `end`."""
    edges = np.arange(cells + 1) / cells
    overlap = np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])
    covered: NDArray[np.float64] = np.clip(overlap, 0, None) * cells
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
    """Every policy on every grid, on a clip of walking people."""
    boxes, results = _boxes(clips / "vtest.boxes.txt"), []
    for spec in specs:
        grid, kept = spec.fit(768, 576), 0.0
        for name in (*POLICIES, "random"):
            policy = RandomPolicy(grid, kept) if name == "random" else POLICIES[name](grid)
            score = _score(clips / VTEST, policy, _ShippedPeople(grid, boxes), grid)
            kept = score.kept / score.cells if name == "tracked" else kept
            results.append(_row("vtest", "real, boxes", name, grid, score))
    return results


def _score(path: Path, policy: ChangePolicy, people: _ShippedPeople, grid: PatchGrid) -> Score:
    tracker, score = ChangeTracker(grid, policy, ANCHOR_EVERY), Score()
    for slot, judged in _slots(path, tracker):
        number = round(slot.times[-1] * VTEST_FPS)
        if judged:
            changed = people.changed_cells(number)
            found = int((changed & slot.kept).sum())
            kept = int(slot.kept.sum())
            score += Score(changed.size, kept, int(changed.sum()), found)
        people.mark_shipped(number, slot.kept)
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
            empty = [s for s, judged in slots if judged and _nobody_present(s, visits)]
            kept = sum(s.kept_count for s in empty)
            score = Score(cells=len(empty) * grid.cells, kept=kept)
            row = _row("one_by_one", "real, empty", name, grid, score)
            detected = sum(_detected([s for s, _ in slots], start) for start, _ in visits)
            results.append({**row, "visits": len(visits), "visits_detected": detected})
    return results


def _nobody_present(slot: Slot, visits: list[tuple[float, float]]) -> bool:
    """Whether no visit overlaps the slot, with a margin of 1 s before and 2 s after the visit."""
    return all(slot.times[-1] < a - 1 or slot.times[0] > b + 2 for a, b in visits)


def _detected(slots: list[Slot], start: float) -> bool:
    """Whether the slot of the first sample after `start` is an anchor or keeps a changed cell."""
    slot = next(s for s in slots if s.times[-1] >= start + 0.3)
    return bool(np.isin(slot.reasons, [Reason.MOTION, Reason.INTRA, Reason.PIXELS]).any()) or (
        slot.kind is SlotKind.ANCHOR
    )


def _slots(path: Path, tracker: ChangeTracker) -> Iterator[tuple[Slot, bool]]:
    """The slots of a clip, each with whether the policy decided on it: true for deltas, and for
    anchors of a mass change.
    """
    mass_changes = 0
    for frame in decode_stream(open_source(str(path)).items(), lambda: tracker.motion_interval_s):
        slot = tracker.feed(frame)
        if slot is not None:
            before, mass_changes = mass_changes, tracker.counters.anchors["mass_change"]
            yield slot, slot.kind is SlotKind.DELTA or mass_changes > before


def _row(clip: str, condition: str, name: str, grid: PatchGrid, score: Score) -> dict[str, Any]:
    shape = f"{grid.rows}x{grid.cols}"
    return {"clip": clip, "condition": condition, "policy": name, "grid": shape, **score.row()}
