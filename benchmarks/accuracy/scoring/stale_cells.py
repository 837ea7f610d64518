"""Stale cells: of the cells that truly changed since they were last shipped, those not shipped.

The ground truth is that of the edge benchmark (`benchmarks/edge/ground_truth.py`): the procedural
world rendered without noise, here at a size that is sufficient for cells.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.footage import Footage
from benchmarks.accuracy.streams import Stream
from benchmarks.edge import real_footage
from benchmarks.edge.accuracy import Score
from benchmarks.edge.ground_truth import ShippedScene
from benchmarks.edge.run import CLIPS
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.slot import Slot, SlotKind
from codecsight.world import Renderer
from codecsight.world.scene.view import ViewRegion

Rows = list[dict[str, Any]]
POLICIES = ("tracked", "pixels", "random", "published-0.5", "published-0.5-sampled")
STREAMS = 3
WIDTH, HEIGHT = 192, 144


def rows(footages: Sequence[Footage]) -> Rows:
    """Return a row for each change policy, over the first streams of a condition."""
    stream = footages[0].stream
    totals = dict.fromkeys(POLICIES, Score())
    for each in footages[:STREAMS]:
        scene = _Scene(each.stream)
        for policy in POLICIES:
            anchor_interval = _anchor_interval(each.stream, policy)
            totals[policy] += _score(scene, each.grid, each.slots[policy], anchor_interval)
    where = stream.setting.name, stream.conditions[0]
    return [_row(*where, policy, score.row()) for policy, score in totals.items()]


def real(spec: GridSpec, clips: Path = CLIPS) -> Rows:
    """Return rows for the real clip `vtest`, which has hand-drawn boxes; none if it is missing."""
    if not (clips / real_footage.VTEST).exists():
        return []
    rows = real_footage.vtest(clips, [spec])
    return [_row("real", f"vtest {row['grid']}", row["policy"], row) for row in rows]


class _Scene:
    """A stream's scene, rendered without noise for the ground truth."""

    def __init__(self, stream: Stream) -> None:
        camera = stream.camera
        self._fps, scene = camera.fps, camera.scene
        self._renderer = Renderer(scene, WIDTH, HEIGHT)
        self.scene_image = lru_cache(maxsize=None)(self._scene_image)

    def number(self, time: float) -> int:
        """Return the number of the frame at a stream time, in seconds."""
        return round(time * self._fps)

    def view_region(self, number: int) -> ViewRegion:
        """Return the part of the scene that a frame shows."""
        return self._renderer.scene.view.region(number / self._fps)

    def light_factor(self, number: int) -> float:
        """Return the brightness of the scene at a frame, as a factor."""
        return self._renderer.scene.light.factor(number / self._fps)

    def _scene_image(self, number: int) -> NDArray[np.uint8]:
        """Render the whole scene at a frame: RGB, uint8 [3, h, w]."""
        plane = self._renderer.scene_image(number / self._fps)
        return np.ascontiguousarray(plane.transpose(2, 0, 1))


def _anchor_interval(stream: Stream, policy: str) -> int:
    setting = stream.setting
    return setting.published_anchor if policy.startswith("published") else setting.anchor_every


def _score(scene: _Scene, grid: PatchGrid, slots: Sequence[Slot], anchor_interval: int) -> Score:
    """Score one policy on one stream.

    Scheduled anchors ship every cell and are left out; anchors sent because much changed count.
    """
    score, shipped = Score(), [ShippedScene(scene, grid) for _ in range(grid.spec.frames)]
    since = anchor_interval - 1  # slots since the last anchor; the first is one
    for slot in slots:
        numbers = [scene.number(time) for time in slot.times]
        pairs = list(zip(shipped, numbers, strict=True))
        since += 1
        if slot.kind is SlotKind.DELTA or since < anchor_interval:
            changed = np.logical_or.reduce(
                [scene_state.changed_cells(number) for scene_state, number in pairs]
            )
            kept, found = int(slot.kept.sum()), int((changed & slot.kept).sum())
            score += Score(changed.size, kept, int(changed.sum()), found)
        since = 0 if slot.kind is SlotKind.ANCHOR else since
        for scene_state, number in pairs:
            scene_state.mark_shipped(number, slot.kept)
    return score


def _row(setting: str, condition: str, policy: str, score: dict[str, Any]) -> dict[str, Any]:
    """`reused` is the share of cells not shipped, `stale_moved` that of the changed ones."""
    return {
        "setting": setting,
        "condition": condition,
        "change": policy,
        "reused": score["reuse"],
        "stale_moved": score["stale_moved"],
        "changed_share": score["changed_share"],
    }
