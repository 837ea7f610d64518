"""README, docs and the plot are generated from the committed results."""

import json

from benchmarks.accuracy.report import tables as report
from benchmarks.record import RESULTS, rows_json
from benchmarks.tables import ACCURACY, FRONTIER, README, SIGNALS, generated_files, outdated


def test_generated_files_are_up_to_date() -> None:
    assert set(generated_files()) == {README, SIGNALS, ACCURACY, FRONTIER}
    assert outdated() == []


def test_other_results_generate_other_tables() -> None:
    result = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))
    before = report.parts(result)
    for row in result["rows"]:
        row["agreement"] = 0.5
    after = report.parts(result)
    assert "**missed**" in after["targets"]
    for name in ("targets", "change", "kv", "stress", "questions", "content"):
        assert after[name] != before[name]


def test_a_result_with_rows_is_written_as_json() -> None:
    result = {"meta": {"commit": "abc"}, "rows": [{"a": 1}, {"a": None}], "cells": []}
    assert json.loads(rows_json(result)) == result
