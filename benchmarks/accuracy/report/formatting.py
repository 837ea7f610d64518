"""How rows are named in the tables, and their measures option_text. None is an empty cell."""

from benchmarks.accuracy.report.rows import Row

NAMES = {
    "everything": "nothing pruned",
    "everything-raw": "nothing pruned, pixels not coded",
    "evs": "EVS, after the ViT",
    "last-frames": "the last frames, whole",
    "low-rate": "fewer frames, whole",
    "random": "random cells",
    "repeat": "the answer before, repeated",
    "constant": "the most frequent answer, always",
    "tracked-2": "tracked, whole every 2nd slot",
    "tracked-8": "tracked, whole every 8th slot",
}


def variant_name(row: Row) -> str:
    """Change policy and KV policy; baselines have but one name."""
    name = change_name(row["change"])
    return name if row["kv"] in ("all", "no model") else f"{name}, {row['kv']}"


def change_name(change: str) -> str:
    """A change policy."""
    return NAMES.get(change, change)


def readme_name(row: Row) -> str:
    """A system in README."""
    if row["change"].startswith("published"):
        return "the published rule and refresh"
    return change_name(row["change"])


def target_line(aim: str, came: str, met: bool) -> str:
    """A line of the aims."""
    return f"| {aim} | {came} | {'met' if met else '**missed**'} |"


def stress_cell(row: Row | None) -> str:
    """Agreement at operations, F1."""
    if row is None:
        return ""
    shares = f"{percent(row['agreement'])} at {percent(row['flops_ratio'])}"
    return shares if row["f1"] is None else f"{shares}, {decimal(row['f1'])}"


def question_cells(row: Row | None) -> str:
    """What the table of questions tells of one."""
    if row is None:
        return " | | | "
    flips = f"{row['flips_to_yes']}, {row['flips_to_no']}"
    measured = decimal(row["f1"]), decimal(row["f1_dense"]), percent(row["agreement"]), flips
    return " | ".join(measured)


def reuse_cell(row: Row | None) -> str:
    """Reused and stale-moved cells."""
    if row is None or row["stale_moved"] is None:
        return ""
    return f"{percent(row['reused'])} / {percent(row['stale_moved'])}"


def percent(value: float | None) -> str:
    """A share."""
    return "" if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None) -> str:
    """An F1."""
    return "" if value is None else f"{value:.3f}"


def points(value: float | None) -> str:
    """F1 lost."""
    return "" if value is None else f"{100 * value:.1f} points lost"


def interval(row: Row, key: str) -> str:
    """Of a share."""
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"({100 * low:.1f} to {100 * high:.1f})"


def points_interval(row: Row) -> str:
    """Of F1 lost."""
    return f"({100 * row['f1_lost_low']:.1f} to {100 * row['f1_lost_high']:.1f})"
