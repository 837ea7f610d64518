"""Markdown tables of the edge benchmark's results."""

from collections.abc import Iterable
from typing import Any

from benchmarks.edge.world_clips import FIRST_NEW_SEED

FINE, COARSE = "9x16", "5x9"
COLUMNS = (
    ("tracked", FINE),
    ("tracked", COARSE),
    ("published-0.25", FINE),
    ("published-0.5", FINE),
    ("pixels", FINE),
    ("random", FINE),
)
ADDED = "added"
Row = dict[str, Any]
Result = dict[str, Any]


def summary(result: Result) -> str:
    """The table of conditions on one grid, for docs/measured.md."""
    chosen = [column for column in COLUMNS if column[1] == FINE]
    return "\n".join(
        [
            "Share of truly changed cells that are shipped (recall) / cells shipped per changed "
            "cell. Procedural world with exact ground truth. Some thresholds were chosen on these "
            "seeds, so new scenes may do a little worse. [Definitions and more](codec-signals.md).",
            "",
            *conditions(result, chosen),
        ]
    )


def all_tables(result: Result) -> str:
    """All tables, for docs/codec-signals.md."""
    parts = [
        [
            f"World scenes ({_origin(result)}). "
            "**Recall of changed cells / cells kept per changed one:**"
        ],
        conditions(result, COLUMNS),
        [
            "The default policy on other seeds, which were never looked at while thresholds were "
            "chosen; *worst* is the single clip with the largest share of missed cells:"
        ],
        _new_scenes(result["rows"]),
        ["Real footage:"],
        _real(result["rows"]),
        [
            "CPU time on one thread, with a plain decoder alternating with ours packet by packet; "
            "*added* is what signals and tracker add to decoding:"
        ],
        _cost(result["rows"]),
        ["Bytes on the wire, at equal PSNR on the cells that were shipped:"],
        _payload(result["rows"]),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def conditions(result: Result, columns: Iterable[tuple[str, str]]) -> list[str]:
    """The table of conditions: a row for each condition, a column for each policy and grid."""
    chosen = list(columns)
    totals = {
        (row["condition"], row["policy"], row["grid"]): row
        for row in result["rows"]
        if row["clip"] == "world"
    }
    names = list(dict.fromkeys(condition for condition, _, _ in totals))
    titles = [policy if grid == FINE else f"{policy}, {grid}" for policy, grid in chosen]
    lines = [f"| condition | truly changed | {' | '.join(titles)} |", _rule(len(titles) + 2)]
    for name in names:
        cells = " | ".join(_score(totals.get((name, *column))) for column in chosen)
        changed = totals[name, "tracked", FINE]["changed_share"]
        lines.append(f"| {name} | {changed:.1%} | {cells} |")
    return lines


def _new_scenes(rows: list[Row]) -> list[str]:
    """The default policy on new seeds: a row for each condition, with its worst clip."""
    new = [row for row in rows if row["clip"] == "new world"]
    lines = [f"| condition | tracked | tracked, {COARSE} | worst |", _rule(4)]
    for name in dict.fromkeys(row["condition"] for row in new):
        by_grid = {row["grid"]: row for row in new if row["condition"] == name}
        scores = " | ".join(_score(by_grid.get(grid)) for grid in (FINE, COARSE))
        worst = max(
            (row for row in rows if _is_new_clip(row) and row["condition"] == name),
            key=lambda row: row["stale_moved"] or 0.0,
        )
        lines.append(f"| {name} | {scores} | {worst['stale_moved']:.1%} ({worst['grid']}) |")
    return lines


def _is_new_clip(row: Row) -> bool:
    family, _, seed = row["clip"].rpartition("/")
    return family.startswith("world/") and int(seed) >= FIRST_NEW_SEED


def _score(row: Row | None) -> str:
    return "" if row is None else f"{row['recall']:.3f} / {row['kept_over_changed']:.2f}"


def _real(rows: list[Row]) -> list[str]:
    lines = ["| clip | cells | policy | stale | not sent | visits detected |", _rule(6)]
    for row in rows:
        if row.get("condition", "").startswith("real"):
            stale = "" if row["stale_moved"] is None else f"{row['stale_moved']:.1%}"
            visits = f"{row['visits_detected']} of {row['visits']}" if "visits" in row else ""
            lines.append(
                f"| {row['clip']} | {row['grid']} | {row['policy']} | {stale} | "
                f"{row['reuse']:.1%} | {visits} |"
            )
    return lines


def _cost(rows: list[Row]) -> list[str]:
    clips: dict[str, dict[str, Row]] = {}
    for row in rows:
        if "stage" in row:
            clips.setdefault(row["clip"], {})[row["stage"]] = row
    stages = ("demux", "decode", "signals", "tracker", "scale", "coding")
    lines = [f"| clip (ms) | {' | '.join(stages)} | added | streams per core |", _rule(9)]
    for name, by_stage in clips.items():
        ms = " | ".join(f"{by_stage[stage]['ms_per_frame']:.2f}" for stage in stages)
        added, per_core = by_stage[ADDED]["ratio_to_decode"], by_stage["all"]["streams_per_core"]
        lines.append(f"| {name} | {ms} | **{added:.0%}** | {per_core:.1f} |")
    return lines


def _payload(rows: list[Row]) -> list[str]:
    methods: dict[str, dict[str, Row]] = {}
    for row in rows:
        if "method" in row:
            methods.setdefault(row["method"], {})[row["clip"]] = row
    clips = list(dict.fromkeys(row["clip"] for row in rows if "method" in row))
    lines = [f"| kB/s | {' | '.join(clips)} |", _rule(len(clips) + 1)]
    for method, by_clip in methods.items():
        sizes = " | ".join(f"{by_clip[clip]['bytes_per_second'] / 1000:.1f}" for clip in clips)
        lines.append(f"| {method} | {sizes} |")
    return lines


def _origin(result: Result) -> str:
    return f"commit {result['commit']}, {result['machine']['processor']}"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns
