"""Names and number formats of the tables. None becomes an empty cell."""

from benchmarks.accuracy.report.rows import Row

NAMES = {
    "everything": "nothing pruned",
    "everything-raw": "nothing pruned, no JPEG",
    "evs": "EVS, after the ViT",
    "last-frames": "last frames, unpruned",
    "low-rate": "fewer frames, unpruned",
    "random": "random cells",
    "repeat": "previous answer repeated",
    "constant": "most frequent answer",
    "tracked-2": "tracked, anchor every 2 slots",
    "tracked-8": "tracked, anchor every 8 slots",
}


def variant_name(row: Row) -> str:
    """Change policy and KV policy; baselines without a KV policy have one name."""
    name = change_name(row["change"])
    return name if row["kv"] in ("all", "no model") else f"{name}, {row['kv']}"


def change_name(change: str) -> str:
    """Readable name of a change policy."""
    return NAMES.get(change, change)


def system_name(row: Row) -> str:
    """Name of a system in the tables of README and docs/measured.md."""
    if row["default"]:
        return "**CodecSight**"
    if row["change"].startswith("published"):
        return "published rule and refresh"
    return change_name(row["change"])


def target_line(target: str, measured: str, met: bool) -> str:
    """One line of the table of targets."""
    return f"| {target} | {measured} | {'met' if met else '**missed**'} |"


def stress_cell(row: Row | None) -> str:
    """`agreement at operations, F1`."""
    if row is None:
        return ""
    shares = f"{percent(row['agreement'])} at {percent(row['flops_ratio'])}"
    return shares if row["f1"] is None else f"{shares}, {decimal(row['f1'])}"


def question_cells(row: Row | None) -> str:
    """F1, dense F1, agreement and flips of one question."""
    if row is None:
        return " | | | "
    flips = f"{row['flips_to_yes']}, {row['flips_to_no']}"
    measured = decimal(row["f1"]), decimal(row["f1_dense"]), percent(row["agreement"]), flips
    return " | ".join(measured)


def reuse_cell(row: Row | None) -> str:
    """`reused / stale-moved`."""
    if row is None or row["stale_moved"] is None:
        return ""
    return f"{percent(row['reused'])} / {percent(row['stale_moved'])}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "" if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None) -> str:
    """An F1, three decimals."""
    return "" if value is None else f"{value:.3f}"


def points(value: float | None) -> str:
    """F1 lost, in points."""
    return "" if value is None else f"{100 * value:.1f} points lost"


def interval(row: Row, key: str) -> str:
    """95% interval of a share, in percent."""
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"({100 * low:.1f} to {100 * high:.1f})"


def points_interval(row: Row) -> str:
    """95% interval of F1 lost, in points."""
    return f"({100 * row['f1_lost_low']:.1f} to {100 * row['f1_lost_high']:.1f})"
