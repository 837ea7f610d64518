"""Entry point of the edge benchmark: runs all parts into one result (JSON)."""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.edge import cost, payload, real_footage
from benchmarks.edge.accuracy import ANCHOR_EVERY, SPECS, Score, score_default, score_policies
from benchmarks.edge.ground_truth import SHARE, VISIBLE
from benchmarks.edge.world_clips import (
    FIRST_TEST_SEED,
    WorldClip,
    new_world_clips,
    world_clips,
)
from benchmarks.record import origin
from benchmarks.result_file import save_result

CLIPS = Path(os.environ.get("CODECSIGHT_CLIPS", Path(__file__).parents[3] / "shared" / "clips"))

WORLD, NEW_WORLD = "world", "new world"
"""Names of the rows over all clips of a condition: test seeds, and new ones."""

save = save_result
"""Used by `codecsight bench`."""


def run(
    quick: bool, clips: Path = CLIPS, on_progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Run all measurements. `quick` is for tests: every condition once, small and short, on one
    grid, without real footage. Real footage is also skipped if `clips` doesn't exist.
    """
    rows = _world_rows(quick, world_clips(quick), WORLD, on_progress)
    rows += _world_rows(quick, new_world_clips(quick), NEW_WORLD, on_progress)
    if not quick and clips.is_dir():
        on_progress("real footage")
        rows += real_footage.rows(clips)
    on_progress("cost")
    rows += cost.rows(quick, clips)
    on_progress("payload")
    rows += payload.rows(quick)
    chosen = world_clips(quick)
    settings = {
        "quick": quick,
        "seeds": sorted({clip.seed for clip in chosen}),
        "new_seeds": sorted({clip.seed for clip in new_world_clips(quick)}),
        "tuned_on_seeds_below": FIRST_TEST_SEED,
        "seconds": chosen[0].seconds,
        "size": [chosen[0].width, chosen[0].height],
        "anchor_every": ANCHOR_EVERY,
        "visible_levels": VISIBLE,
        "changed_share_of_cell": SHARE,
    }
    return {**origin(), "settings": settings, "rows": rows}


def _world_rows(
    quick: bool, clips: list[WorldClip], total: str, on_progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each clip, policy and grid, and one named `total` for each condition over all its
    clips. New clips are judged with the default policy only.
    """
    score_clip = score_policies if total == WORLD else score_default
    rows: list[dict[str, Any]] = []
    totals: dict[tuple[str, str, str], Score] = defaultdict(Score)
    for clip in clips:
        condition = clip.condition.name
        on_progress(f"{condition} {clip.name}")
        for (policy, grid), score in score_clip(clip, SPECS[:1] if quick else SPECS).items():
            shape = f"{grid.rows}x{grid.cols}"
            rows.append(_row(clip.name, condition, policy, shape, score))
            totals[condition, policy, shape] += score
    return [_row(total, *key, score) for key, score in totals.items()] + rows


def _row(clip: str, condition: str, policy: str, grid: str, score: Score) -> dict[str, Any]:
    return {
        "clip": clip,
        "condition": condition,
        "policy": policy,
        "grid": grid,
        **score.row(),
    }
