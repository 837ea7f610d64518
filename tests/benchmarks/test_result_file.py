"""Result files: rows stored as tables, and compressed answers."""

import json
from pathlib import Path

from benchmarks.result_file import read_compressed, read_result, save_compressed, save_result

RESULT = {
    "meta": {"commit": "abc", "streams": [{"url": "world://street"}]},
    "rows": [{"a": 1, "b": None}, {"a": 2, "b": [3]}, {"c": "x"}, {"a": 4, "b": 5}],
    "cells": [],
    "made": "2026",
}


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    save_result(RESULT, tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == RESULT


def test_rows_are_stored_as_tables(tmp_path: Path) -> None:
    save_result(RESULT, tmp_path / "result.json")
    tables = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert tables[0] == {"columns": ["a", "b"], "rows": [[1, None], [2, [3]]]}
    assert [table["columns"] for table in tables] == [["a", "b"], ["c"], ["a", "b"]]


def test_a_plain_json_file_is_read_unchanged(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(RESULT))
    assert read_result(tmp_path / "result.json") == RESULT


def test_compressed_answers_are_the_same_bytes_in_every_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_compressed(RESULT, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_compressed(tmp_path / "one") == RESULT
