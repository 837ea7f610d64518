"""Of the cells that truly changed since they were last shipped: how many were not shipped.

Truth is that of the edge's bench (`benchmarks/edge/ground_truth.py`): the world drawn without
noise, here at a size that is enough for cells.
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
    """A row for each policy, over the first streams of a condition."""
    stream = footages[0].stream
    totals = dict.fromkeys(POLICIES, Score())
    for each in footages[:STREAMS]:
        scene = _Scene(each.stream)
        for policy in POLICIES:
            rhythm = _rhythm(each.stream, policy)
            totals[policy] += _score(scene, each.grid, each.slots[policy], rhythm)
    place = stream.setting.name, stream.conditions[0]
    return [_row(*place, policy, score.row()) for policy, score in totals.items()]


def real(spec: GridSpec, clips: Path = CLIPS) -> Rows:
    """The same of `vtest`, where people drew boxes around people; nothing where it isn't there."""
    if not (clips / real_footage.VTEST).exists():
        return []
    rows = real_footage.vtest(clips, [spec])
    return [_row("real", f"vtest {row['grid']}", row["policy"], row) for row in rows]


class _Scene:
    """A stream's scene, drawn again for the truth of it."""

    def __init__(self, stream: Stream) -> None:
        camera = stream.camera
        self._fps, scene = camera.fps, camera.scene
        self._renderer = Renderer(scene, WIDTH, HEIGHT)
        self.scene_image = lru_cache(maxsize=None)(self._scene_image)

    def number(self, time: float) -> int:
        """Which picture was taken at that time of the stream."""
        return round(time * self._fps)

    def view_region(self, number: int) -> ViewRegion:
        """Which part of the scene that picture shows."""
        return self._renderer.scene.view.region(number / self._fps)

    def light_factor(self, number: int) -> float:
        """How bright the scene was, as a factor."""
        return self._renderer.scene.light.factor(number / self._fps)

    def _scene_image(self, number: int) -> NDArray[np.uint8]:
        """The whole scene when that picture was taken: RGB, uint8 [3, h, w]."""
        plane = self._renderer.scene_image(number / self._fps)
        return np.ascontiguousarray(plane.transpose(2, 0, 1))


def _rhythm(stream: Stream, policy: str) -> int:
    setting = stream.setting
    return setting.published_anchor if policy.startswith("published") else setting.anchor_every


def _score(scene: _Scene, grid: PatchGrid, slots: Sequence[Slot], rhythm: int) -> Score:
    """Of one policy on one stream; whole slots that come by the rhythm are not judged, those that
    are whole because so much changed are.
    """
    score, canvases = Score(), [ShippedScene(scene, grid) for _ in range(grid.spec.frames)]
    since = rhythm - 1  # slots since the last anchor; the first is one
    for slot in slots:
        numbers = [scene.number(time) for time in slot.times]
        pairs = list(zip(canvases, numbers, strict=True))
        since += 1
        if slot.kind is SlotKind.DELTA or since < rhythm:
            changed = np.logical_or.reduce(
                [canvas.changed_cells(number) for canvas, number in pairs]
            )
            kept, found = int(slot.kept.sum()), int((changed & slot.kept).sum())
            score += Score(changed.size, kept, int(changed.sum()), found)
        since = 0 if slot.kind is SlotKind.ANCHOR else since
        for canvas, number in pairs:
            canvas.mark_shipped(number, slot.kept)
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
