"""The edge benchmark: its ground truth, and a quick run."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.edge.accuracy import POLICIES, SPECS
from benchmarks.edge.cost import STAGES
from benchmarks.edge.ground_truth import ShippedScene
from benchmarks.edge.world_clips import CONDITIONS, FIRST_TEST_SEED, WorldClip, world_clips
from benchmarks.result_file import read_result
from codecsight.cli.app import app


def world_clip(name: str, seconds: float = 4.0) -> WorldClip:
    chosen = next(each for each in CONDITIONS if each.name == name)
    return WorldClip(chosen, "street", 3, seconds, 320, 180)


GRID = SPECS[0].fit(320, 180)
ALL_CELLS = np.ones((GRID.rows, GRID.cols), np.bool_)


@pytest.mark.parametrize("name", ["calm", "pan", "state"])
def test_shipped_cells_have_not_changed(name: str) -> None:
    shipped = ShippedScene(world_clip(name), GRID)
    assert shipped.changed_cells(0).all()
    shipped.mark_shipped(0, ALL_CELLS)
    assert not shipped.changed_cells(0).any()


def test_light_and_noise_are_no_change_but_people_are() -> None:
    exposed = world_clip("exposure")
    shipped = ShippedScene(exposed, GRID)
    shipped.mark_shipped(0, ALL_CELLS)
    changed = shipped.changed_cells(exposed.frames - 1)
    assert changed.any()
    assert changed.mean() < 0.5


def test_a_pan_changes_cells_at_one_side_only() -> None:
    pan = world_clip("pan")
    shipped = ShippedScene(pan, GRID)
    shipped.mark_shipped(0, ALL_CELLS)
    changed = shipped.changed_cells(15)
    assert changed[:, -1].all()
    assert not changed[:3, :-2].any()


def test_cells_stay_changed_until_they_are_shipped() -> None:
    calm = world_clip("calm")
    shipped = ShippedScene(calm, GRID)
    shipped.mark_shipped(0, ALL_CELLS)
    changed = shipped.changed_cells(40)
    assert changed.any()
    shipped.mark_shipped(40, ~changed)
    assert np.array_equal(shipped.changed_cells(40), changed)
    shipped.mark_shipped(40, changed)
    assert not shipped.changed_cells(40).any()


def test_tuning_and_test_clips_share_no_seed() -> None:
    tuning, test = ({clip.seed for clip in world_clips(False, tuning)} for tuning in (True, False))
    assert max(tuning) < FIRST_TEST_SEED <= min(test)


def test_a_quick_run_gives_all_rows(tmp_path: Path) -> None:
    file = tmp_path / "edge.json"
    done = CliRunner().invoke(app, ["bench", "edge", "--quick", "--json", str(file)])
    assert done.exit_code == 0, done.output
    result = read_result(file)
    rows = [row for row in result["rows"] if "policy" in row and row["clip"] == "world"]
    names = {(row["condition"], row["policy"], row["grid"]) for row in rows}
    assert len(names) == len(CONDITIONS) * (len(POLICIES) + 1)
    by_name = {(row["condition"], row["policy"], row["grid"]): row for row in rows}
    everything, ours = (by_name["calm", name, "9x16"] for name in ("everything", "tracked"))
    assert everything["recall"] == 1.0
    assert everything["reuse"] == 0.0
    assert ours["recall"] > 0.9
    assert ours["kept_over_changed"] < 2
    assert by_name["calm", "random", "9x16"]["recall"] < 0.7
    stages = {row["stage"] for row in result["rows"] if "stage" in row}
    assert stages == {*STAGES, "added", "all"}
    assert result["commit"]
