"""Targets of the shipped default, measured values, and where the differences come from."""

from collections.abc import Iterator, Sequence

from benchmarks.accuracy.report.formatting import (
    decimal,
    interval,
    percent,
    points,
    points_interval,
    target_line,
)
from benchmarks.accuracy.report.rows import (
    SETTINGS,
    Result,
    Row,
    default_row,
    default_rows,
    is_pooled,
    is_variant,
    pooled_rows,
    stress_rows,
)

AGREEMENT, F1_LOST, F1_LOST_STRESS, FLOPS = 0.98, 0.01, 0.03, 0.07
"""Least agreement, most F1 lost, most F1 lost under stress, most operations (published setting)."""
WORST = 4
"""How many of the questions with most differing answers are listed."""


def result_part(result: Result) -> str:
    """Summary table of the default and one sentence about stress."""
    lines = [
        f"| the shipped default | same answers as dense (target: {AGREEMENT:.0%}) | F1 (dense) | "
        "F1 lost | operations saved | visual tokens saved |",
        "|---|---|---|---|---|---|",
    ]
    for name in SETTINGS:
        row = default_row(result, name, "plain")
        agreed = f"{percent(row['agreement'])}{_miss(row['agreement'] >= AGREEMENT)}"
        lost = f"{points(row['f1_lost'])}{_miss(row['f1_lost'] <= F1_LOST)}"
        f1 = f"{decimal(row['f1'])} ({decimal(row['f1_dense'])})"
        saved = f"{percent(1 - row['flops_ratio'])} | {percent(1 - row['tokens_ratio'])}"
        lines.append(f"| {name} | {agreed} | {f1} | {lost} | {saved} |")
    rows = _scored(result)
    missed = [
        f"{row['condition']} ({points(row['f1_lost'])})" for row in rows if not _within_target(row)
    ]
    lines += [
        "",
        f"Stress target: F1 within {100 * F1_LOST_STRESS:.0f} points of dense. Met in "
        f"{len(rows) - len(missed)} of {len(rows)} conditions"
        + (f"; missed in {', '.join(missed)}." if missed else "."),
    ]
    return "\n".join(lines)


def targets_part(result: Result) -> str:
    """Table of all targets with the measured values."""
    lines = ["| target for the shipped default | measured | |", "|---|---|---|"]
    for name in SETTINGS:
        row = default_row(result, name, "plain")
        agreed = f"{percent(row['agreement'])} {interval(row, 'agreement')}"
        lost = f"{points(row['f1_lost'])} {points_interval(row)}"
        texts = (f"agreement at least {AGREEMENT:.0%}", f"F1 within {100 * F1_LOST:.0f} point")
        lines += [
            target_line(f"{name}: {texts[0]}", agreed, row["agreement"] >= AGREEMENT),
            target_line(f"{name}: {texts[1]} of dense", lost, row["f1_lost"] <= F1_LOST),
        ]
    row = default_row(result, "published", "plain")
    saved = f"{percent(1 - row['flops_ratio'])} fewer"
    text = f"published: at least {1 - FLOPS:.0%} fewer operations"
    lines.append(target_line(text, saved, row["flops_ratio"] <= FLOPS))
    for row in _scored(result):
        text = f"{row['condition']}: F1 within {100 * F1_LOST_STRESS:.0f} points of dense"
        lost = f"{points(row['f1_lost'])} {points_interval(row)}"
        lines.append(target_line(text, lost, _within_target(row)))
    return "\n".join(lines)


def limits_part(result: Result) -> str:
    """Which answers differ from dense, and how many with pruning alone or reuse alone: in both
    settings, and in the stress conditions that miss their target.
    """
    missed = [
        ("native", str(row["condition"])) for row in _scored(result) if not _within_target(row)
    ]
    places = [*((name, "plain") for name in SETTINGS), *missed]
    return "\n".join(line for place in places for line in _limits(result, *place))


def _limits(result: Result, setting: str, condition: str) -> Iterator[str]:
    name = setting if condition == "plain" else condition
    default, rows = default_row(result, setting, condition), pooled_rows(result, setting, condition)
    questions = [row for row in default_rows(result, setting, condition) if not is_pooled(row)]
    yield (
        f"- **{name}**: {percent(1 - default['agreement'])} of the answers differ, most of them on "
        f"{_worst(questions)}. {default['flips_to_yes']} flips to yes, {default['flips_to_no']} to "
        f"no{_left(questions)}."
    )
    variants = (
        ("pruning alone (everything recomputed)", "tracked", "all/latest-features"),
        ("reuse alone (nothing pruned)", "everything", result["meta"]["default"]["kv"]),
    )
    for label, change, kv in variants:
        row = next((row for row in rows if is_variant(row, change, kv)), None)
        if row:
            yield (
                f"  - {label}: {percent(1 - row['agreement'])} differ, {points(row['f1_lost'])}, "
                f"operations {percent(row['flops_ratio'])}."
            )


def _worst(rows: Sequence[Row]) -> str:
    """The questions with most differing answers, and their share of all differing answers."""
    differ = {row["question"]: row["answers"] * (1 - row["agreement"]) for row in rows}
    total = sum(differ.values()) or 1.0
    worst = sorted((name for name in differ if differ[name] > 0), key=lambda name: -differ[name])
    return ", ".join(f"`{name}` ({differ[name] / total:.0%})" for name in worst[:WORST])


def _left(rows: Sequence[Row]) -> str:
    """How many of the flips to yes claim that somebody left."""
    count = sum(row["flips_to_yes"] for row in rows if row["question"].startswith("leave"))
    return f"; {count} of those to yes claim that somebody left" if count else ""


def _scored(result: Result) -> list[Row]:
    """Stress conditions with an F1: those in which something is there to be found."""
    return [row for row in stress_rows(result) if row["f1_lost"] is not None]


def _within_target(row: Row) -> bool:
    return bool(row["f1_lost"] <= F1_LOST_STRESS)


def _miss(met: bool) -> str:
    return "" if met else " **missed**"
