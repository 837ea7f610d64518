"""SVG plot of the frontier: operations against agreement, one panel for each setting."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.accuracy.report.formatting import change_name
from benchmarks.accuracy.report.label_layout import Box, Label, leader_line, place_labels
from benchmarks.accuracy.report.rows import (
    SETTINGS,
    Result,
    Row,
    frontier,
    is_trivial,
    is_variant,
    pooled_rows,
)

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560, 470, 56, 64, 18, 52
X_MIN, X_MAX, Y_MIN = 0.035, 1.12, 0.85
"""Axis limits. Variants with less agreement than `Y_MIN` are listed below the axes."""
TARGET = 0.98
TICKS = (0.05, 0.1, 0.2, 0.5, 1.0)

GROUPS = {
    "default": ("#d62728", "the default"),
    "kv": ("#1f77b4", "other KV policies"),
    "change": ("#9467bd", "other change policies"),
    "published": ("#2ca02c", "published rule"),
    "baseline": ("#7f7f7f", "simple baselines"),
}
SIMPLE_BASELINES = ("evs", "last-frames", "low-rate", "random")


@dataclass(frozen=True, slots=True)
class Panel:
    """The rows of one setting and their coordinates."""

    setting: str
    rows: Sequence[Row]

    def position(self, row: Row) -> tuple[float, float]:
        """Coordinates of a row's mark."""
        return _x(row["flops_ratio"]), _y(row["agreement"])

    @property
    def marked(self) -> list[Row]:
        """Rows drawn as marks; the default last, so that it is on top."""
        rows = [row for row in self.rows if not is_trivial(row)]
        return sorted(rows, key=lambda row: bool(row["default"]))

    @property
    def frontier_points(self) -> list[tuple[float, float]]:
        """Points of the frontier, cheapest first."""
        rows = sorted(frontier(self.rows), key=lambda row: row["flops_ratio"])
        return [self.position(row) for row in rows]

    @property
    def taken(self) -> list[Box]:
        """Boxes that labels should not cover: marks and lines."""
        marks = [(x - 4.5, y - 4.5, x + 4.5, y + 4.5) for x, y in map(self.position, self.marked)]
        baselines = [
            (LEFT, _y(row["agreement"]) - 1, WIDTH - RIGHT, _y(row["agreement"]) + 18)
            for row in self.rows
            if is_trivial(row)
        ]
        target = (LEFT, _y(TARGET) - 1, WIDTH - RIGHT, _y(TARGET) + 1)
        return [*marks, *baselines, target, *_path_boxes(self.frontier_points)]


def svg(result: Result) -> str:
    """Return the whole plot as SVG."""
    panels = [
        Panel(name, rows) for name in SETTINGS if (rows := pooled_rows(result, name, "plain"))
    ]
    drawn = [
        f'<g transform="translate({number * WIDTH},0)">{"".join(_parts(panel))}</g>'
        for number, panel in enumerate(panels)
    ]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT + 28}"'
    style = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, paper, *drawn, _legend(), "</svg>", ""])


def _parts(panel: Panel) -> Iterable[str]:
    yield _text(LEFT, 22, f"{panel.setting} setting", size=15)
    yield _text(LEFT, 42, "same answers as the dense model, by operations (of the dense model's)")
    yield from _axes()
    yield _line(LEFT, _y(TARGET), WIDTH - RIGHT, _y(TARGET), "#d62728", "2 3")
    yield from _trivial_lines([row for row in panel.rows if is_trivial(row)])
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in panel.frontier_points)
    yield f'<polyline points="{path}" fill="none" stroke="#bbb" stroke-width="1.5"/>'
    labels = list(_labels(panel))
    yield from (line for line, _ in labels)
    yield from (_mark(row, *panel.position(row)) for row in panel.marked)
    yield from (text for _, text in labels)


def _axes() -> Iterable[str]:
    for tick in TICKS:
        yield _line(_x(tick), TOP, _x(tick), HEIGHT - BOTTOM)
        yield _text(_x(tick), HEIGHT - BOTTOM + 16, f"{tick:.0%}", "middle")
    for value in range(round(100 * Y_MIN), 101, 5):
        yield _line(LEFT, _y(value / 100), WIDTH - RIGHT, _y(value / 100))
        yield _text(LEFT - 6, _y(value / 100) + 4, f"{value}%", "end")


def _trivial_lines(rows: Sequence[Row]) -> Iterable[str]:
    """Horizontal lines for the trivial baselines, which have no operations."""
    below = []
    for row in rows:
        if row["agreement"] < Y_MIN:
            below.append(f"{change_name(row['change'])}: {row['agreement']:.0%}")
            continue
        y = _y(row["agreement"])
        yield _line(LEFT, y, WIDTH - RIGHT, y, "#999", "5 4")
        yield _text(WIDTH - RIGHT, y + 14, change_name(row["change"]), "end", "#555")
    if below:
        yield _text(LEFT, HEIGHT - 14, f"off the scale: {'; '.join(below)}", colour="#555")


def _mark(row: Row, x: float, y: float) -> str:
    group = _group(row)
    size = 7 if group == "default" else 4.5
    name = f"{row['change']}, {row['kv']}: {row['agreement']:.1%} at {row['flops_ratio']:.1%}"
    mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{GROUPS[group][0]}"'
    return f'{mark} fill-opacity="0.8"><title>{name}</title></circle>'


def _labels(panel: Panel) -> Iterable[tuple[str, str]]:
    """Leader line and text of each label, the default's first."""
    names: dict[tuple[float, float], list[str]] = {}
    for row in reversed(panel.marked):
        if name := _name(row):
            names.setdefault(panel.position(row), []).append(name)
    labels = [Label(*at, " = ".join(same)) for at, same in names.items()]
    bounds = LEFT, TOP - 4, WIDTH - 2, HEIGHT - BOTTOM
    for label, place in zip(labels, place_labels(labels, panel.taken, bounds), strict=True):
        line = leader_line(label, place)
        drawn = _line(*line[0], *line[1], "#aaa") if line else ""
        yield drawn, _text(*place, label.text, colour="#333", size=11)


def _path_boxes(path: Sequence[tuple[float, float]]) -> Iterable[Box]:
    """Yield small boxes along a path."""
    for (x, y), (to_x, to_y) in pairwise(path):
        for share in (n / 20 for n in range(20)):
            at_x, at_y = x + share * (to_x - x), y + share * (to_y - y)
            yield at_x - 1, at_y - 1, at_x + 1, at_y + 1


def _name(row: Row) -> str | None:
    """Label of a row's mark, or None."""
    if row["default"]:
        return "the default"
    if row["change"] in CHANGE_LABELS:
        slots = f", {row['kv']}" if str(row["kv"]).endswith("slots") else ""
        return CHANGE_LABELS[row["change"]] + slots
    return next(
        (name for (change, kv), name in VARIANT_LABELS.items() if is_variant(row, change, kv)), None
    )


CHANGE_LABELS = {
    "evs": "EVS",
    "last-frames": "last frames",
    "low-rate": "fewer frames",
    "random": "random cells",
    "tracked-2": "anchor every 2 slots",
    "tracked-8": "every 8 slots",
}
VARIANT_LABELS = {
    ("everything", "all/"): "dense",
    ("everything", "anchors/"): "nothing pruned, anchors refreshed",
    ("everything", "none/rerotated"): "nothing pruned, reuse alone",
    ("published-0.5", "anchors/"): "published system, 0.5",
    ("published-0.25", "anchors/"): "published system, 0.25",
    ("tracked", "all/latest-features"): "pruning alone",
    ("tracked", "none/last-slot"): "without unchanged cells",
    ("tracked", "none/rerotated/radius 0"): "radius 0",
}
"""Labels of change policies, and of single variants."""


def _group(row: Row) -> str:
    if row["default"]:
        return "default"
    if row["change"] == "tracked":
        return "kv"
    if row["change"].startswith("published"):
        return "published"
    return "baseline" if row["change"] in SIMPLE_BASELINES else "change"


def _legend() -> str:
    parts = []
    entries = [(colour, name) for colour, name in GROUPS.values()]
    for number, (colour, name) in enumerate(entries):
        x = LEFT + number * 170
        parts.append(f'<circle cx="{x}" cy="{HEIGHT + 10}" r="5" fill="{colour}"/>')
        parts.append(_text(x + 9, HEIGHT + 14, name))
    x = LEFT + len(entries) * 170
    parts.append(_line(x, HEIGHT + 10, x + 22, HEIGHT + 10, "#bbb"))
    parts.append(_text(x + 28, HEIGHT + 14, "frontier"))
    parts.append(_line(x + 92, HEIGHT + 10, x + 114, HEIGHT + 10, "#d62728", "2 3"))
    parts.append(_text(x + 120, HEIGHT + 14, "target"))
    return "".join(parts)


def _x(ratio: float) -> float:
    share = math.log(max(ratio, X_MIN) / X_MIN) / math.log(X_MAX / X_MIN)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(agreement: float) -> float:
    share = (max(agreement, Y_MIN) - Y_MIN) / (1 - Y_MIN)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _line(
    x: float, y: float, to_x: float, to_y: float, colour: str = "#e4e4e4", dash: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{colour}"{dashed}/>'


def _text(
    x: float, y: float, text: str, anchor: str = "start", colour: str = "#222", size: int = 12
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f"<text {place}>{text}</text>"
