"""Plot of the frontier: agreement against FLOPs, one panel for each setting, as SVG."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from benchmarks.accuracy.report.formatting import change_name
from benchmarks.accuracy.report.plot_labels import draw_labels
from benchmarks.accuracy.report.rows import (
    SETTINGS,
    Result,
    Row,
    frontier,
    is_trivial,
    pooled_rows,
)
from benchmarks.accuracy.report.targets import AGREEMENT

WIDTH, HEIGHT = 560, 500
"""Size of a panel in points."""
X_LIMITS, Y_LIMITS = (0.035, 1.12), (0.85, 1.002)
"""Variants outside the limits are listed below the axis."""
X_TICKS = (0.05, 0.1, 0.2, 0.5, 1.0)
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 11,
    "svg.fonttype": "none",  # text stays text: small files, searchable labels
    "svg.hashsalt": "codecsight",  # the same ids in every run
}
GROUPS = {
    "default": ("#d62728", "the default"),
    "kv": ("#1f77b4", "other KV policies"),
    "change": ("#9467bd", "other change policies"),
    "published": ("#2ca02c", "published rule"),
    "baseline": ("#7f7f7f", "simple baselines"),
}
SIMPLE_BASELINES = ("evs", "last-frames", "low-rate", "random")


def svg(result: Result) -> str:
    """Return the plot as SVG; the same result gives the same text."""
    target = io.StringIO()
    with mpl.rc_context(STYLE):
        figure(result).savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines()) + "\n"


def figure(result: Result) -> Figure:
    """Draw the settings that were measured, side by side."""
    panels = {name: rows for name in SETTINGS if (rows := pooled_rows(result, name, "plain"))}
    drawn = Figure(figsize=(WIDTH * len(panels) / 72, HEIGHT / 72), dpi=72)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    drawn.subplots_adjust(0.05, 0.16, 0.985, 0.93, wspace=0.12)
    for panel, (name, rows) in zip(axes, panels.items(), strict=True):
        _draw_axes(panel, name)
        _draw_panel(panel, rows)
    drawn.legend(handles=_legend(), loc="lower center", ncols=len(GROUPS) + 2, frameon=False)
    return drawn


def marked_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows drawn as marks; the default last, so that it is on top."""
    shown = [row for row in rows if not is_trivial(row) and _within_limits(row)]
    return sorted(shown, key=lambda row: bool(row["default"]))


def _draw_axes(axes: Axes, setting: str) -> None:
    axes.set_title(f"{setting} setting: same answers as the dense model", loc="left", fontsize=13)
    axes.set(xscale="log", xlim=X_LIMITS, ylim=Y_LIMITS)
    axes.xaxis.set_major_locator(FixedLocator(X_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_panel(axes: Axes, rows: Sequence[Row]) -> None:
    axes.axhline(AGREEMENT, color=GROUPS["default"][0], linestyle=":", linewidth=1)
    trivial = [row for row in rows if is_trivial(row) and _within_limits(row)]
    for row in trivial:
        _draw_trivial(axes, row)
    best = sorted(frontier(rows), key=lambda row: row["flops_ratio"])
    axes.plot(*_columns(best), color="#bbbbbb", linewidth=1.5, zorder=1)
    marked = marked_rows(rows)
    for row in marked:
        group = _group(row)
        size = 110 if group == "default" else 45
        axes.scatter(*_columns([row]), s=size, color=GROUPS[group][0], alpha=0.8, linewidths=0)
    below = [row for row in rows if not _within_limits(row)]
    names = "; ".join(f"{change_name(row['change'])}: {row['agreement']:.0%}" for row in below)
    off_scale = f" (off the scale: {names})" if names else ""
    axes.set_xlabel(f"FLOPs, as a share of the dense model's{off_scale}")
    draw_labels(axes, marked, best, [AGREEMENT], [row["agreement"] for row in trivial])


def _draw_trivial(axes: Axes, row: Row) -> None:
    """Draw a dashed line for a baseline that runs no model and so has no FLOPs."""
    axes.axhline(row["agreement"], color="#999999", linestyle="--", linewidth=1)
    axes.annotate(
        change_name(row["change"]),
        (X_LIMITS[1], row["agreement"]), (-2, -4), textcoords="offset points",
        ha="right", va="top", color="#555555",
    )  # fmt: skip


def _within_limits(row: Row) -> bool:
    """Whether a row is on the scale; the trivial baselines have no FLOPs."""
    cheap = row["flops_ratio"] < X_LIMITS[0] and not is_trivial(row)
    return bool(row["agreement"] >= Y_LIMITS[0] and not cheap)


def _columns(rows: Iterable[Row]) -> tuple[list[float], list[float]]:
    points = [(row["flops_ratio"], row["agreement"]) for row in rows]
    return [x for x, _ in points], [y for _, y in points]


def _group(row: Row) -> str:
    if row["default"]:
        return "default"
    if row["change"] == "tracked":
        return "kv"
    if row["change"].startswith("published"):
        return "published"
    return "baseline" if row["change"] in SIMPLE_BASELINES else "change"


def _legend() -> list[Line2D]:
    marks = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=name)
        for colour, name in GROUPS.values()
    ]
    path = Line2D([], [], color="#bbbbbb", label="frontier")
    target = Line2D([], [], color=GROUPS["default"][0], linestyle=":", label="target")
    return [*marks, path, target]
