"""What the change tracker, the noise meter and the camera motion tell about a source."""

import json
import time
from collections.abc import Iterator
from statistics import fmean, median
from typing import Any

import numpy as np

from codecsight.change.ignore import Polygon, propose_ignore
from codecsight.change.measurement.yuv_planes import Mask
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.cli.diagnosis.camera_moves import CameraMoves
from codecsight.core.frame import Frame
from codecsight.core.grid import GridSpec
from codecsight.core.slot import ANCHOR_EVERY, SlotKind
from codecsight.video.codec.noise import NoiseMeter
from codecsight.video.report import Finding

SPEC = GridSpec(cell=16, frames=2, rate=2.0, max_cells=48)
"""The grid of the built-in model."""
MANY_CHANGED, MANY_MOVES, MUCH_NOISE, QUIET = 0.7, 0.2, 6.0, 0.02


class TrackingStatistics:
    """Tracks the changes in the frames of a source with a policy, and measures what that costs."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._size = (0, 0)
        self._tracker: ChangeTracker | None = None
        self._noise = NoiseMeter()
        self._moves = CameraMoves()
        self._changed = self._compared = 0  # cells of slots that are no scheduled anchors
        self._kept: list[Mask] = []  # cells [rows, cols] of the deltas
        self._slot_times: list[float] = []
        self._frame_times: list[float] = []

    def add(self, frame: Frame) -> None:
        """Add a decoded frame, in display order."""
        self._noise.update(frame)
        self._moves.update(frame)
        self._size = frame.shown_size
        if self._tracker is None:
            grid = SPEC.fit(frame.width, frame.height)
            self._tracker = ChangeTracker(grid, make_policy(self._policy, grid), ANCHOR_EVERY)
        counters = self._tracker.counters
        surges = counters.anchors["mass_change"]
        start = time.thread_time()
        slot = self._tracker.feed(frame)
        self._slot_times.append(time.thread_time() - start)
        if slot is None:
            return
        self._frame_times.append(fmean(self._slot_times))
        self._slot_times = []
        if slot.kind is SlotKind.DELTA or counters.anchors["mass_change"] > surges:
            self._changed += slot.kept_count
            self._kept += [slot.kept] if slot.kind is SlotKind.DELTA else []
            self._compared += slot.cell_count

    @property
    def ignore(self) -> list[Polygon]:
        """Polygons of places that change in every slot, as a clock in the picture does.

        Nothing that moves may be lost: none unless they lie at the edge of the picture, where
        cameras write, and the rest of the scene was quiet.
        """
        polygons = propose_ignore(self._kept)
        inside = sum(_area(polygon) for polygon in polygons)
        elsewhere = float(np.mean(self._kept)) - inside if polygons else 0.0
        if elsewhere > QUIET or not all(_at_edge(polygon) for polygon in polygons):
            return []
        return polygons

    @property
    def _large_enough(self) -> bool:
        """Whether the picture is at least as large as the model's input."""
        grid = self._tracker.grid if self._tracker else None
        return grid is None or (self._size[0] >= grid.width and self._size[1] >= grid.height)

    @property
    def ms(self) -> float | None:
        """CPU milliseconds per frame: the median over slots. None before the first slot."""
        return 1000 * median(self._frame_times) if self._frame_times else None

    @property
    def _noise_level(self) -> float | None:
        """In grey levels; None where a moving camera hides it."""
        return None if (self._moves.share or 0.0) > MANY_MOVES else self._noise.level

    @property
    def changed_share(self) -> float | None:
        """Share of cells that changed, scheduled anchors left out; None before it is known."""
        return self._changed / self._compared if self._compared else None

    def row(self) -> dict[str, Any]:
        """The statistics for JSON. Raises ValueError before the first frame."""
        if self._tracker is None:
            raise ValueError("no frame was added")
        grid, counters = self._tracker.grid, self._tracker.counters
        return {
            "model_input": (grid.width, grid.height),
            "large_enough": self._large_enough,
            "kept_share": _rounded(counters.kept / counters.total) if counters.total else None,
            "changed_share": _rounded(self.changed_share),
            "cells": counters.total,
            "reasons": {reason.name.lower(): n for reason, n in counters.reasons.items()},
            "ignore": self.ignore,
            "noise": _rounded(self._noise_level, 2),
            "camera_moves": _rounded(self._moves.share),
        }

    def findings(self) -> Iterator[Finding]:
        """What should be changed, and why."""
        changed, moves, noise = self.changed_share, self._moves.share, self._noise_level
        if changed is None:
            advice = "Too short to estimate the share of cells sent; increase --seconds."
            yield Finding("", advice, minor=True)
        elif changed > MANY_CHANGED:
            yield Finding(
                "most of the picture changes",
                f"{changed:.0%} of the cells change: pruning saves little on this scene.",
            )
        if polygons := self.ignore:
            value = json.dumps(polygons).replace(".0,", ",").replace(".0]", "]")
            yield Finding(
                "ignore the places that always change",
                "The same cells change all the time, as a clock in the picture does. If nothing "
                f"else happens there, set for this camera in site.yaml: ignore: {value}",
                minor=True,
            )
        if not self._large_enough:
            yield Finding(
                "the picture is smaller than the model's input",
                f"{self._size[0]}x{self._size[1]} is smaller than the model's input, so details "
                "are missed: use a stream with a larger picture.",
            )
        if (moves or 0.0) > MANY_MOVES:
            yield Finding(
                "the camera moves",
                f"The camera moves in {moves:.0%} of the frames: mount it firmly, or "
                "analyse it only between tours; every area that comes into view is sent.",
            )
        if (noise or 0.0) > MUCH_NOISE:
            perhaps = " or the camera moves" if moves is None else ""
            yield Finding(
                f"the picture is noisy{perhaps}",
                f"The picture is noisy ({noise:.0f} grey levels){perhaps}, which hides faint "
                "changes and raises the bit rate: add light or enable the camera's noise "
                "reduction.",
            )


def _area(polygon: Polygon) -> float:
    """Share of the picture that a rectangle covers."""
    (left, top), _, (right, bottom), _ = polygon
    return (right - left) * (bottom - top)


def _at_edge(polygon: Polygon) -> bool:
    return any(value in (0.0, 1.0) for point in polygon for value in point)


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
