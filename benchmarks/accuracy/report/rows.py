"""Which rows of a result stand for what."""

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
Result = dict[str, Any]
SETTINGS = ("published", "native")


def frontier(rows: Sequence[Row]) -> list[Row]:
    """Those that look, and that no other of them beats in both agreement and operations."""
    looking = [row for row in rows if not is_trivial(row)]
    return [
        row
        for row in looking
        if not any(
            other["agreement"] >= row["agreement"]
            and other["flops_ratio"] <= row["flops_ratio"]
            and (other["agreement"], other["flops_ratio"]) != (row["agreement"], row["flops_ratio"])
            for other in looking
        )
    ]


def is_trivial(row: Row) -> bool:
    """Whether it is an answer without looking."""
    return bool(row["kv"] == "no model")


def in_change_table(row: Row) -> bool:
    """Whether it belongs to the comparison of change policies."""
    return bool(row["default"]) or row["change"] != "tracked"


def in_kv_table(row: Row) -> bool:
    """Whether it belongs to the comparison of KV policies."""
    return bool(row["change"] == "tracked")


def pooled_rows(result: Result, setting: str, condition: str) -> list[Row]:
    """Every pair of a setting and condition, all questions together."""
    return [
        row
        for row in result["rows"]
        if (row["setting"], row["condition"], row["question"]) == (setting, condition, "all")
    ]


def default_rows(result: Result, setting: str, condition: str) -> list[Row]:
    """The shipped default's rows, question by question."""
    return [
        row
        for row in result["rows"]
        if (row["setting"], row["condition"]) == (setting, condition) and row["default"]
    ]


def default_row(result: Result, setting: str, condition: str) -> Row:
    """The shipped default's pooled row."""
    return next(row for row in default_rows(result, setting, condition) if row["question"] == "all")


def stress_rows(result: Result) -> list[Row]:
    """The default's pooled rows of the stress conditions."""
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
    """Ours, and the systems that README sets beside it."""
    rows = pooled_rows(result, setting, "plain")
    wanted: list[Callable[[Row], bool]] = [
        lambda row: bool(row["default"]),
        lambda row: is_variant(row, "published-0.5", "anchors/last-slot"),
        lambda row: is_variant(row, "last-frames", "all"),
        lambda row: row["change"] == "evs",
        lambda row: row["change"] == "random",
        lambda row: row["change"] == "repeat",
    ]
    return [row for pick in wanted for row in rows if pick(row)]


def content_variants(result: Result, setting: str) -> list[Row]:
    """The ways to the present under our change policy, the published system, and baselines."""
    kinds = ("last-slot", "latest-features", "rerotated")
    rows = pooled_rows(result, setting, "plain")
    ours = next(row for row in rows if row["default"])
    refresh, _, rest = ours["kv"].split("/", 2)
    same = [f"{refresh}/{kind}/{rest}" for kind in kinds]
    return [
        row
        for row in rows
        if (row["change"] == "tracked" and row["kv"] in same)
        or is_variant(row, "published-0.5", "anchors/last-slot")
        or is_variant(row, "last-frames", "all")
        or row["change"] in ("random", "repeat")
    ]


def find_row(result: Result, setting: str, arm: Row, question: str) -> Row | None:
    """A pair's row of one question; None where it was not asked."""
    wanted = setting, "plain", arm["change"], arm["kv"], question
    keys = ("setting", "condition", "change", "kv", "question")
    return next((r for r in result["rows"] if tuple(r[key] for key in keys) == wanted), None)


def is_variant(row: Row, change: str, kv: str) -> bool:
    """Whether it is that change policy with a KV policy that begins so."""
    return bool(row["change"] == change and row["kv"].startswith(kv))


def is_pooled(row: Row) -> bool:
    """Whether it is of all questions together."""
    return bool(row["question"].startswith("all"))
