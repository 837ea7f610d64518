"""The frontier as a picture: operations against agreement, a panel for each setting."""

import math
from collections.abc import Callable
from typing import Any

from benchmarks.accuracy.report import SETTINGS
from benchmarks.accuracy.rows import Result, is_guess, pooled
from benchmarks.accuracy.wording import named

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 470, 380, 62, 40, 14, 52
TICKS = (0.05, 0.1, 0.2, 0.5, 1.0)

Row = dict[str, Any]
CONTROLS = ("evs", "last-frames", "low-rate")
GROUPS = {
    "ours": ("#1f77b4", "ours, other KV policies"),
    "default": ("#d62728", "ours, the default"),
    "change": ("#9467bd", "other change policies"),
    "published": ("#2ca02c", "the published rule"),
    "control": ("#7f7f7f", "simple baselines"),
}


def svg(result: Result) -> str:
    """The whole picture."""
    panels = [
        f'<g transform="translate({number * WIDTH},0)">{_panel(setting, rows)}</g>'
        for number, setting in enumerate(SETTINGS)
        if (rows := pooled(result, setting, "plain"))
    ]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT + 24}"'
    style = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *panels, _legend(),
                      "</svg>", ""])  # fmt: skip


def _panel(setting: str, rows: list[Row]) -> str:
    lowest = math.floor(20 * min(row["agreement"] for row in rows)) / 20
    x, y = _x, _scale_y(lowest)
    parts = [f'<text x="{LEFT}" y="24" font-weight="bold">{setting} setting</text>']
    for tick in TICKS:
        parts.append(_line(x(tick), TOP, x(tick), HEIGHT - BOTTOM))
        parts.append(_text(x(tick), HEIGHT - BOTTOM + 16, f"{tick:.0%}", "middle"))
    for step in range(round((1 - lowest) * 20) + 1):
        value = lowest + step / 20
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value)))
        parts.append(_text(LEFT - 6, y(value) + 4, f"{value:.0%}", "end"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 16, "operations of the dense model's", "middle"))
    parts.append(_text(LEFT - 50, TOP - 8, "same answers", "start"))
    for row in rows:
        height = y(row["agreement"])
        parts.append(_level(row, height) if is_guess(row) else _point(row, x, height))
    return "".join(parts)


def _level(row: Row, y: float) -> str:
    """What costs nothing has a height, and no place."""
    line = f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#999" stroke-dasharray="5 4"/>'
    return line + _text(WIDTH - RIGHT, y - 4, named(row["change"]), "end", "#555")


def _point(row: Row, place: Callable[[float], float], y: float) -> str:
    group, x = _group(row), place(row["flops_ratio"])
    colour, size = GROUPS[group][0], 7 if group == "default" else 4.5
    name = f"{row['change']}, {row['kv']}: {row['agreement']:.1%} at {row['flops_ratio']:.1%}"
    title = f"<title>{name}</title>"
    label = ""
    if group == "control" or row["change"] in ("random", "everything"):
        slots = f", {row['kv']}" if row["kv"].endswith("slots") else ""
        label = _text(x + 7, y + 4, row["change"] + slots, "start", "#555")
    mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}" fill-opacity="0.75">'
    return f"{mark}{title}</circle>{label}"


def _group(row: Row) -> str:
    if row["default"]:
        return "default"
    if row["change"] == "tracked":
        return "ours"
    if row["change"].startswith("published"):
        return "published"
    return "control" if row["change"] in CONTROLS else "change"


def _legend() -> str:
    parts = []
    for number, (colour, name) in enumerate(GROUPS.values()):
        x = LEFT + number * 175
        parts.append(f'<circle cx="{x}" cy="{HEIGHT + 8}" r="5" fill="{colour}"/>')
        parts.append(_text(x + 9, HEIGHT + 12, name, "start"))
    return "".join(parts)


def _x(ratio: float) -> float:
    share = math.log(max(ratio, 0.03) / 0.03) / math.log(1.1 / 0.03)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _scale_y(lowest: float) -> Any:
    def y(value: float) -> float:
        share = (value - lowest) / max(1 - lowest, 0.01)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    return y


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{text}</text>"
