"""Select rows of an accuracy result.

A row is one variant (change policy and KV policy) on one question topic, or on `all` of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
Result = dict[str, Any]
SETTINGS = ("published", "native")


def frontier(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other row beats in both agreement and operations; trivial baselines left out."""
    candidates = [row for row in rows if not is_trivial(row)]
    return [
        row
        for row in candidates
        if not any(
            other["agreement"] >= row["agreement"]
            and other["flops_ratio"] <= row["flops_ratio"]
            and (other["agreement"], other["flops_ratio"]) != (row["agreement"], row["flops_ratio"])
            for other in candidates
        )
    ]


def is_trivial(row: Row) -> bool:
    """Whether a row is a baseline that runs no model."""
    return bool(row["kv"] == "no model")


def in_change_table(row: Row) -> bool:
    """Whether a row belongs in the table of change policies."""
    return bool(row["default"]) or row["change"] != "tracked"


def in_kv_table(row: Row) -> bool:
    """Whether a row belongs in the table of KV policies."""
    return bool(row["change"] == "tracked")


def pooled_rows(result: Result, setting: str, condition: str) -> list[Row]:
    """Rows of every variant in one setting and condition, all questions together."""
    return [
        row
        for row in result["rows"]
        if (row["setting"], row["condition"], row["question"]) == (setting, condition, "all")
    ]


def default_rows(result: Result, setting: str, condition: str) -> list[Row]:
    """Rows of the shipped default, one for each question topic."""
    return [
        row
        for row in result["rows"]
        if (row["setting"], row["condition"]) == (setting, condition) and row["default"]
    ]


def default_row(result: Result, setting: str, condition: str) -> Row:
    """The shipped default's row over all questions."""
    return next(row for row in default_rows(result, setting, condition) if row["question"] == "all")


def stress_rows(result: Result) -> list[Row]:
    """The default's rows over all questions, one for each stress condition."""
    return [
        row
        for row in result["rows"]
        if row["default"]
        and row["question"] == "all"
        and row["setting"] == "native"
        and row["condition"] != "plain"
        and "fps" not in row["condition"]
    ]


def headline_rows(result: Result, setting: str) -> list[Row]:
    """The default and the systems it is compared with, in README and docs/measured.md."""
    rows = pooled_rows(result, setting, "plain")
    selectors: list[Callable[[Row], bool]] = [
        lambda row: bool(row["default"]),
        lambda row: is_variant(row, "published-0.5", "anchors/last-slot"),
        lambda row: is_variant(row, "last-frames", "all"),
        lambda row: row["change"] == "evs",
        lambda row: row["change"] == "random",
        lambda row: row["change"] == "repeat",
    ]
    return [row for matches in selectors for row in rows if matches(row)]


def content_variants(result: Result, setting: str) -> list[Row]:
    """Variants of the table by window content: the query views, the published system, baselines."""
    views = ("last-slot", "latest-features", "rerotated")
    rows = pooled_rows(result, setting, "plain")
    default = next(row for row in rows if row["default"])
    refresh, _, rest = default["kv"].split("/", 2)
    same_policy = [f"{refresh}/{view}/{rest}" for view in views]
    return [
        row
        for row in rows
        if (row["change"] == "tracked" and row["kv"] in same_policy)
        or is_variant(row, "published-0.5", "anchors/last-slot")
        or is_variant(row, "last-frames", "all")
        or row["change"] in ("random", "repeat")
    ]


def find_row(result: Result, setting: str, variant: Row, question: str) -> Row | None:
    """A variant's row of one question; None where the question was not measured."""
    wanted = setting, "plain", variant["change"], variant["kv"], question
    keys = ("setting", "condition", "change", "kv", "question")
    return next((r for r in result["rows"] if tuple(r[key] for key in keys) == wanted), None)


def is_variant(row: Row, change: str, kv: str) -> bool:
    """Whether a row has this change policy and a KV policy name that starts with `kv`."""
    return bool(row["change"] == change and row["kv"].startswith(kv))


def is_pooled(row: Row) -> bool:
    """Whether a row covers several questions together."""
    return bool(row["question"].startswith("all"))
