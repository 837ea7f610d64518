"""Files of the accuracy benchmark: aggregates for tables and plots, and every answer, compressed.

The aggregates are small enough to be committed. The answers go to a file that git ignores.
"""

from pathlib import Path
from typing import Any

from benchmarks.accuracy.report.rows import SETTINGS, Result, Row, content_variants, is_pooled
from benchmarks.accuracy.scoring.scores import ALL
from benchmarks.accuracy.streams import CAMERAS
from benchmarks.result_file import save_compressed, save_result

COST_COLUMNS = frozenset({
    "flops_ratio", "vit_flops_ratio", "llm_flops_ratio", "tokens_ratio", "uplink_bytes_per_s"
})  # fmt: skip


def save(result: Result, path: Path) -> None:
    """Write the aggregates to `path`, and all rows and answers to `answers_path(path)`."""
    save_result(aggregates(result), path)
    every = {name: result[name] for name in ("meta", "rows", "answers")}
    save_compressed(every, answers_path(path))


def answers_path(path: Path) -> Path:
    """Path of the file with every answer, beside the result: `accuracy-answers.json.gz`."""
    return path.with_name(f"{path.stem}-answers.json.gz")


def aggregates(result: Result) -> Result:
    """Return the result without answers, with the rows that tables and plots use."""
    kept: dict[str, Any] = {"meta": result["meta"], "rows": _report_rows(result)}
    return {**kept, "cells": result["cells"], "text": result["text"]}


def _report_rows(result: Result) -> list[Row]:
    """Rows over all questions, then the default's rows by question, then rows by content.

    Of single cameras (conditions within `plain`) only the default's row over all questions is kept.
    """
    rows = [row for row in result["rows"] if row["condition"] not in CAMERAS]
    pooled = [row for row in rows if row["question"] == ALL]
    cameras = [
        row
        for row in result["rows"]
        if row["condition"] in CAMERAS and row["default"] and row["question"] == ALL
    ]
    variants = {_variant(row) for name in SETTINGS for row in content_variants(result, name)}
    by_question = [row for row in rows if row["question"] != ALL and row["default"]]
    by_content = [
        row
        for row in rows
        if row["question"] != ALL and is_pooled(row) and not row["default"]
        if _variant(row) in variants
    ]
    return [*pooled, *cameras, *map(_without_cost, [*by_question, *by_content])]


def _without_cost(row: Row) -> Row:
    """Return a row without its variant's cost, which the row over all questions holds."""
    return {name: value for name, value in row.items() if name not in COST_COLUMNS}


def _variant(row: Row) -> tuple[str, ...]:
    """Setting, condition and variant of a row."""
    return tuple(row[key] for key in ("setting", "condition", "change", "kv"))
