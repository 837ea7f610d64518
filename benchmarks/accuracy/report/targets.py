"""What the shipped default was to come to, what it came to, and what is in the way."""

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
"""The aims: at least, at most, at most in every stress row, at most in the published setting."""
WORST = 4


def result_part(result: Result) -> str:
    """All of it in a few lines."""
    lines = [
        f"| the shipped default | same answers as dense (aim: {AGREEMENT:.0%}) | F1 (dense) | "
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
    rows = _judged(result)
    missed = [f"{row['condition']} ({points(row['f1_lost'])})" for row in rows if not _holds(row)]
    lines += [
        "",
        f"Under stress, F1 is to stay within {100 * F1_LOST_STRESS:.0f} points of dense: it does "
        f"in {len(rows) - len(missed)} of {len(rows)} conditions"
        + (f", and does not in {', '.join(missed)}." if missed else "."),
    ]
    return "\n".join(lines)


def targets_part(result: Result) -> str:
    """What was aimed at, what came out."""
    lines = ["| aim, for the shipped default | came out | |", "|---|---|---|"]
    for name in SETTINGS:
        row = default_row(result, name, "plain")
        agreed = f"{percent(row['agreement'])} {interval(row, 'agreement')}"
        lost = f"{points(row['f1_lost'])} {points_interval(row)}"
        aims = (f"agreement at least {AGREEMENT:.0%}", f"F1 within {100 * F1_LOST:.0f} point")
        lines += [
            target_line(f"{name}: {aims[0]}", agreed, row["agreement"] >= AGREEMENT),
            target_line(f"{name}: {aims[1]} of dense", lost, row["f1_lost"] <= F1_LOST),
        ]
    row = default_row(result, "published", "plain")
    spared = f"{percent(1 - row['flops_ratio'])} fewer"
    aim = f"published: at least {1 - FLOPS:.0%} fewer operations"
    lines.append(target_line(aim, spared, row["flops_ratio"] <= FLOPS))
    for row in _judged(result):
        aim = f"{row['condition']}: F1 within {100 * F1_LOST_STRESS:.0f} points of dense"
        lost = f"{points(row['f1_lost'])} {points_interval(row)}"
        lines.append(target_line(aim, lost, _holds(row)))
    return "\n".join(lines)


def limits_part(result: Result) -> str:
    """Which answers differ, and what of it pruning and reuse do alone: in both settings, and in the
    stress conditions where the aim is missed.
    """
    missed = [("native", str(row["condition"])) for row in _judged(result) if not _holds(row)]
    places = [*((name, "plain") for name in SETTINGS), *missed]
    return "\n".join(line for place in places for line in _limits(result, *place))


def _limits(result: Result, setting: str, condition: str) -> Iterator[str]:
    name = setting if condition == "plain" else condition
    ours, rows = default_row(result, setting, condition), pooled_rows(result, setting, condition)
    questions = [row for row in default_rows(result, setting, condition) if not is_pooled(row)]
    yield (
        f"- **{name}**: {percent(1 - ours['agreement'])} of the answers differ, most of them to "
        f"{_worst(questions)}. {ours['flips_to_yes']} flips are to yes, {ours['flips_to_no']} to "
        f"no{_gone(questions)}."
    )
    alone = (
        ("pruning alone (all computed anew)", "tracked", "all/latest-features"),
        ("reuse alone (nothing pruned)", "everything", result["meta"]["default"]["kv"]),
    )
    for what, change, kv in alone:
        row = next((row for row in rows if is_variant(row, change, kv)), None)
        if row:
            yield (
                f"  - {what}: {percent(1 - row['agreement'])} differ, {points(row['f1_lost'])}, "
                f"operations {percent(row['flops_ratio'])}."
            )


def _worst(rows: Sequence[Row]) -> str:
    """The questions that most of the answers that differ belong to, and how many of them."""
    differ = {row["question"]: row["answers"] * (1 - row["agreement"]) for row in rows}
    total = sum(differ.values()) or 1.0
    worst = sorted((name for name in differ if differ[name] > 0), key=lambda name: -differ[name])
    return ", ".join(f"`{name}` ({differ[name] / total:.0%})" for name in worst[:WORST])


def _gone(rows: Sequence[Row]) -> str:
    """How many of the flips to yes say that somebody left."""
    gone = sum(row["flips_to_yes"] for row in rows if row["question"].startswith("leave"))
    return f"; {gone} of those to yes say that somebody left" if gone else ""


def _judged(result: Result) -> list[Row]:
    """The stress conditions in which there is something to be found."""
    return [row for row in stress_rows(result) if row["f1_lost"] is not None]


def _holds(row: Row) -> bool:
    return bool(row["f1_lost"] <= F1_LOST_STRESS)


def _miss(met: bool) -> str:
    return "" if met else " **missed**"
