"""The default and other systems: README's table, and the longer one in docs/measured.md."""

from collections.abc import Iterator

from benchmarks.accuracy.report.formatting import (
    decimal,
    interval,
    percent,
    system_name,
)
from benchmarks.accuracy.report.rows import (
    SETTINGS,
    Result,
    Row,
    default_row,
    headline_rows,
    is_trivial,
)
from benchmarks.accuracy.report.targets import AGREEMENT

README_INTRO = (
    "The same model answers the same questions about the same windows. *Same answers*: share equal "
    "to the dense model's, which keeps every cell and recomputes every window. *FLOPs*: share of "
    "the dense model's. *Published*: the re-encoded 2 frames a second of the published system; "
    "*native*: typical camera streams."
)


def readme_part(result: Result) -> str:
    """README's measured part: one table of the default and its peers, and what limits it."""
    return "\n".join([README_INTRO, "", *_readme_table(result), "", _caveats(result)])


def systems_table(result: Result) -> str:
    """The default and its peers in both settings, with confidence intervals."""
    lines = [
        "Answers compared with those of the same model on unpruned, recomputed windows. In "
        "brackets: 95% intervals, and the dense model's F1. [Method and all tables](accuracy.md).",
        "",
        "| setting | | same answers | F1 (dense) | operations | visual tokens |",
        "|---|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        for row in headline_rows(result, setting):
            agreed = f"{percent(row['agreement'])} {interval(row, 'agreement')}"
            lines.append(
                f"| {setting} | {system_name(row)} | {agreed} | "
                f"{decimal(row['f1'])} ({decimal(row['f1_dense'])}) | "
                f"{percent(row['flops_ratio'])} | {percent(row['tokens_ratio'])} |"
            )
    return "\n".join(lines)


def _readme_table(result: Result) -> list[str]:
    """A row for each system, with same answers, F1 and FLOPs in each setting."""
    columns = " | ".join(f"{name}: same answers | F1 | FLOPs" for name in SETTINGS)
    dense = [decimal(default_row(result, name, "plain")["f1_dense"]) for name in SETTINGS]
    by_name: dict[str, list[Row]] = {}
    for setting in SETTINGS:
        for row in headline_rows(result, setting):
            by_name.setdefault(system_name(row), []).append(row)
    return [
        f"| | {columns} |",
        "|---|" + "---|---|---|" * len(SETTINGS),
        *(f"| {name} | {' | '.join(map(_cells, rows))} |" for name, rows in by_name.items()),
        f"| dense model | {' | '.join(f'100.0% | {f1} | 100.0%' for f1 in dense)} |",
    ]


def _cells(row: Row) -> str:
    return f"{percent(row['agreement'])} | {decimal(row['f1'])} | {percent(row['flops_ratio'])}"


def _caveats(result: Result) -> str:
    """Missed targets, peers that agree more often, what the figures rest on, and links."""
    meta = result["meta"]
    sentences = [
        *_missed(result),
        *_better(result),
        "Measured with the included small model on procedural cameras, not with a large model on "
        f"real ones (commit {meta['commit']}, [results](benchmarks/results/accuracy.json)).",
        "More: [what limits it](docs/accuracy.md#what-limits-it), and "
        "[all measurements](docs/measured.md) (the demo's FLOPs and latency, streams per core, "
        "change detection).",
    ]
    return " ".join(sentences)


def _missed(result: Result) -> Iterator[str]:
    defaults = [(name, default_row(result, name, "plain")) for name in SETTINGS]
    missed = [name for name, row in defaults if row["agreement"] < AGREEMENT]
    if missed:
        lost = " and ".join(f"{100 * row['f1_lost']:.1f} ({name})" for name, row in defaults)
        yield (
            f"CodecSight misses its target of {AGREEMENT:.0%} same answers ({', '.join(missed)}); "
            f"its F1 is {lost} points below the dense model's."
        )


def _better(result: Result) -> Iterator[str]:
    """Peers that agree with the dense model more often than the default."""
    for setting in SETTINGS:
        default = default_row(result, setting, "plain")
        for row in headline_rows(result, setting):
            if row["agreement"] > default["agreement"] and not is_trivial(row):
                times = row["flops_ratio"] / default["flops_ratio"]
                yield (
                    f"In the {setting} setting, *{system_name(row)}* agrees more often, at "
                    f"{times:.1f} times the FLOPs."
                )
