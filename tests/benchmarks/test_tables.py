"""Numbers in README and in docs come from the committed results, and plots are made of them."""

import json

from benchmarks.accuracy.report import tables as report
from benchmarks.record import RESULTS, rows_json
from benchmarks.tables import ACCURACY, FRONTIER, README, SIGNALS, made, stale


def test_what_is_made_from_results_is_up_to_date() -> None:
    assert set(made()) == {README, SIGNALS, ACCURACY, FRONTIER}
    assert stale() == []


def test_other_numbers_make_other_pages() -> None:
    result = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))
    before = report.parts(result)
    for row in result["rows"]:
        row["agreement"] = 0.5
    after = report.parts(result)
    assert "**missed**" in after["targets"]
    for name in ("targets", "change", "kv", "stress", "questions", "content"):
        assert after[name] != before[name]


def test_a_result_of_rows_is_json() -> None:
    result = {"meta": {"commit": "abc"}, "rows": [{"a": 1}, {"a": None}], "cells": []}
    assert json.loads(rows_json(result)) == result
