"""Measured parts of docs/accuracy.md, made from the committed result."""

from collections.abc import Callable

from benchmarks.accuracy.report.formatting import (
    decimal,
    interval,
    percent,
    question_cells,
    reuse_cell,
    stress_cell,
    variant_name,
)
from benchmarks.accuracy.report.rows import (
    SETTINGS,
    Result,
    Row,
    content_variants,
    default_row,
    default_rows,
    find_row,
    frontier,
    in_change_table,
    in_kv_table,
    is_variant,
    pooled_rows,
    stress_rows,
)
from benchmarks.accuracy.report.targets import limits_part, result_part, targets_part
from benchmarks.markdown import wrap_prose


def parts(result: Result) -> dict[str, str]:
    """Measured parts of docs/accuracy.md, by the name in their `<!-- NAME -->` markers."""
    return {
        "run": run_part(result),
        "result": result_part(result),
        "frontier": "\n\n".join(_frontier(result, name) for name in SETTINGS),
        "targets": targets_part(result),
        "change": "\n\n".join(_variants(result, name, in_change_table) for name in SETTINGS),
        "kv": "\n\n".join(_variants(result, name, in_kv_table) for name in SETTINGS),
        "full": _variants(result, "published-40s", lambda _: True),
        "stress": stress_part(result),
        "questions": questions_part(result),
        "content": content_part(result),
        "text": text_part(result),
        "limits": limits_part(result),
        "cells": cells_part(result),
    }


def run_part(result: Result) -> str:
    """Command, commit, model, machine and size of the run."""
    meta = result["meta"]
    size = {name: default_row(result, name, "plain") for name in SETTINGS}
    counts = ", ".join(
        f"{row['streams']} streams with {row['windows']} windows and {row['answers']:,} fair "
        f"questions ({name})"
        for name, row in size.items()
    )
    return (
        f"`python -m benchmarks.accuracy`, commit {meta['commit']}, model `{meta['model']}`, "
        f"{meta['cpu_minutes']} minutes of one core ({meta['machine']['processor']}): {counts}. "
        f"[Results](../benchmarks/results/accuracy.json). The shipped default is **"
        f"{variant_name(meta['default'])}**."
    )


def stress_part(result: Result) -> str:
    """The default and other variants in each stress condition: agreement, operations, F1."""
    columns: list[tuple[str, Callable[[Row], bool]]] = [
        ("default", lambda row: bool(row["default"])),
        (
            "default, everything recomputed",
            lambda row: is_variant(row, "tracked", "all/latest-features"),
        ),
        ("anchor every 2 slots", lambda row: row["change"] == "tracked-2"),
        ("nothing pruned", lambda row: is_variant(row, "everything", "none/rerotated")),
        (
            "published, all frames",
            lambda row: is_variant(row, "published-0.5", "anchors/last-slot"),
        ),
        (
            "published, sampled frames",
            lambda row: is_variant(row, "published-0.5-sampled", "anchors/last-slot"),
        ),
        ("random cells", lambda row: row["change"] == "random"),
        ("last frames", lambda row: is_variant(row, "last-frames", "all")),
        ("previous answer repeated", lambda row: row["change"] == "repeat"),
    ]
    lines = [
        f"| condition | F1, dense | {' | '.join(name for name, _ in columns)} |",
        "|---|---|" + "---|" * len(columns),
    ]
    for default in stress_rows(result):
        rows = pooled_rows(result, "native", default["condition"])
        found = [next((row for row in rows if matches(row)), None) for _, matches in columns]
        cells = " | ".join(stress_cell(row) for row in found)
        lines.append(f"| {default['condition']} | {decimal(default['f1_dense'])} | {cells} |")
    return "\n".join(lines)


def questions_part(result: Result) -> str:
    """The default on each question topic."""
    lines = [
        "| question | " + " | ".join(f"{name}: F1 | dense | agreement | flips" for name in SETTINGS)
        + " |",
        "|---|" + "---|---|---|---|" * len(SETTINGS),
    ]  # fmt: skip
    rows = {
        name: {row["question"]: row for row in default_rows(result, name, "plain")}
        for name in SETTINGS
    }
    for topic in sorted({topic for each in rows.values() for topic in each if ":" not in topic}):
        cells = [question_cells(each.get(topic)) for each in rows.values()]
        lines.append(f"| {topic} | {' | '.join(cells)} |")
    return "\n".join(lines)


def content_part(result: Result) -> str:
    """Agreement by window content, and by whether a question is about motion or about state."""
    contents = ("moving", "standing", "slow", "empty")
    kinds = (*contents, "about motion", "about state")
    lines = []
    for setting in SETTINGS:
        lines += [
            f"| {setting} | {' | '.join(contents)} | motion questions | state questions |",
            "|---|" + "---|" * len(kinds),
        ]
        for variant in content_variants(result, setting):
            found = [find_row(result, setting, variant, f"all:{kind}") for kind in kinds]
            cells = " | ".join(
                "" if row is None else f"{percent(row['agreement'])} ({row['answers']})"
                for row in found
            )
            lines.append(f"| {variant_name(variant)} | {cells} |")
        lines.append("")
    return "\n".join(lines).strip()


def text_part(result: Result) -> str:
    """Free-form scene descriptions."""
    lines = [
        "| | windows | same sentence | word F1 to dense | word F1 to truth |",
        "|---|---|---|---|---|",
    ]
    for row in result["text"]:
        name = f"**{variant_name(row)}**" if row["default"] else variant_name(row)
        measured = " | ".join(percent(row[key]) for key in ("same", "shared", "right"))
        lines.append(f"| {row['setting']}: {name} | {row['windows']} | {measured} |")
    return "\n".join(lines)


def cells_part(result: Result) -> str:
    """Reused and stale cells of each change policy."""
    rows = result["cells"]
    policies = list(dict.fromkeys(row["change"] for row in rows))
    conditions = list(dict.fromkeys((row["setting"], row["condition"]) for row in rows))
    found = {(row["setting"], row["condition"], row["change"]): row for row in rows}
    lines = [
        f"| reused / stale | truly changed | {' | '.join(policies)} |",
        "|---|---|" + "---|" * len(policies),
    ]
    for condition in conditions:
        cells = [reuse_cell(found.get((*condition, policy))) for policy in policies]
        tracked = found.get((*condition, "tracked"))
        changed = "" if tracked is None else percent(tracked["changed_share"])
        lines.append(f"| {', '.join(condition)} | {changed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _frontier(result: Result, setting: str) -> str:
    """Rows on the frontier, and the default."""
    rows = pooled_rows(result, setting, "plain")
    best = [row for row in rows if row in frontier(rows) or row["default"]]
    lines = [f"| {setting} | agreement | F1 | operations | tokens |", "|---|---|---|---|---|"]
    for row in sorted(best, key=lambda row: row["flops_ratio"]):
        name = f"**{variant_name(row)}**" if row["default"] else variant_name(row)
        shares = f"{percent(row['flops_ratio'])} | {percent(row['tokens_ratio'])}"
        lines.append(f"| {name} | {percent(row['agreement'])} | {decimal(row['f1'])} | {shares} |")
    return "\n".join(lines)


def _variants(result: Result, setting: str, included: Callable[[Row], bool]) -> str:
    rows = pooled_rows(result, setting, "plain")
    if not rows:
        return "Not measured in this run."
    best = frontier(rows)
    lines = [
        f"| {setting} | agreement | F1 (dense {decimal(rows[0]['f1_dense'])}) | flips to yes, no | "
        "operations: ViT, LLM, both | tokens | uplink B/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(filter(included, rows), key=lambda row: -row["agreement"]):
        name = f"**{variant_name(row)}**" if row["default"] else variant_name(row)
        parts = (row[f"{part}flops_ratio"] for part in ("vit_", "llm_", ""))
        uplink = "" if row["uplink_bytes_per_s"] is None else f"{row['uplink_bytes_per_s']:,}"
        lines.append(
            f"| {name}{' *' if row in best else ''} | {percent(row['agreement'])} "
            f"{interval(row, 'agreement')} | {decimal(row['f1'])} | "
            f"{row['flips_to_yes']}, {row['flips_to_no']} | "
            f"{', '.join(map(percent, parts))} | {percent(row['tokens_ratio'])} | {uplink} |"
        )
    return "\n".join(lines)


def replace_parts(text: str, measured: dict[str, str]) -> str:
    """Return `text` with each part between `<!-- NAME -->` and `<!-- end -->` replaced."""
    for name, part in measured.items():
        head, _, rest = text.partition(f"<!-- {name} -->")
        _, _, tail = rest.partition("<!-- end -->")
        text = f"{head}<!-- {name} -->\n{wrap_prose(part)}\n<!-- end -->{tail}"
    return text
