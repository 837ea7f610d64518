"""Checks of what enters the engine: a stream's grid, and each of its slots."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.errors import EngineError, SlotRefused
from codecsight.models.base import VisionLanguageModel

MAX_STREAM_S = 88_888_888.8
"""The latest time of a frame, almost three years of stream: the longest time stamp that memory is
reserved for.
"""


def check_grid(model: VisionLanguageModel, grid: PatchGrid) -> None:
    """Reject a grid that was cut for another model. Raises EngineError."""
    expected, given = (model.cell, model.frames), (grid.spec.cell, grid.spec.frames)
    if expected != given:
        raise EngineError(
            f"{model.name} reads cells of {expected[0]} px in slots of {expected[1]} frames; "
            f"this grid has {given[0]} px and {given[1]} frames"
        )
    if not 1 <= grid.cells <= grid.spec.max_cells:
        raise EngineError(
            f"a grid of {grid.rows} x {grid.cols} cells; {grid.spec.max_cells} are allowed"
        )


def check_content(stream: str, slot: Slot, cell: int, frames: int) -> None:
    """Reject a slot that disagrees with itself, or with a model that reads cells of `cell` pixels
    in slots of `frames` frames. Raises SlotRefused.
    """
    problem = _shape_problem(slot, cell, frames) or _time_problem(
        slot.times, slot.capture_time, frames
    )
    if problem:
        raise SlotRefused(f"stream {stream!r}: {problem}")


def check_slot(stream: str, slot: Slot, grid: PatchGrid, after: float | None) -> None:
    """Reject a slot that does not fit its stream now: another grid, or the wrong time. `after` is
    the time of the stream's last frame, None where an anchor must come first. Raises SlotRefused.
    """
    problem = _order_problem(slot, after) or _grid_problem(slot, grid)
    if problem:
        raise SlotRefused(f"stream {stream!r}: {problem}")


def _order_problem(slot: Slot, after: float | None) -> str | None:
    if after is None and slot.kind is not SlotKind.ANCHOR:
        return "its first slot must be an anchor, and this is a delta; ask the edge for an anchor"
    if after is not None and slot.times and not slot.times[0] > after:
        return f"a slot at {slot.times[0]:g} s came after one at {after:g} s"
    return None


def _grid_problem(slot: Slot, grid: PatchGrid) -> str | None:
    if slot.kept.shape != (grid.rows, grid.cols):
        return f"kept is {slot.kept.shape}, not {(grid.rows, grid.cols)}"
    return None


def _shape_problem(slot: Slot, cell: int, frames: int) -> str | None:
    if slot.kept.dtype != np.bool_ or slot.kept.ndim != 2:
        return f"kept is {slot.kept.dtype} {slot.kept.shape}, not bool [rows, cols]"
    kept = int(slot.kept.sum())
    if slot.kind is SlotKind.ANCHOR and kept < slot.kept.size:
        return f"an anchor holds every cell; this one has {kept} of {slot.kept.size}"
    shape = (kept, frames, 3, cell, cell)
    if slot.patches.dtype != np.uint8 or slot.patches.shape != shape:
        return f"patches are {slot.patches.dtype} {slot.patches.shape}, not uint8 {shape}"
    if slot.reasons.shape != (kept,):
        return f"reasons are {slot.reasons.shape}, not {(kept,)}"
    return None


def _time_problem(times: Sequence[float], capture_time: float, frames: int) -> str | None:
    if len(times) != frames:
        return f"the slot has {len(times)} frame times, not {frames}"
    if not all(map(math.isfinite, (*times, capture_time))):
        return f"times must be finite, not {times} and {capture_time}"
    if min(times) < 0 or max(times) > MAX_STREAM_S:
        return f"times must be between 0 and {MAX_STREAM_S:g} s, not {times}"
    if any(later < earlier for earlier, later in pairwise(times)):
        return f"the frame times {times} run backwards"
    return None
