"""Names next to the marks of the frontier plot."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from matplotlib.axes import Axes

from benchmarks.accuracy.report.label_layout import (
    Box,
    Label,
    Point,
    leader_line,
    place_labels,
)
from benchmarks.accuracy.report.rows import Row, is_variant

FONT_SIZE = 10
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


def draw_labels(
    axes: Axes,
    marked: Sequence[Row],
    path: Sequence[Row],
    lines: Sequence[float],
    labelled_lines: Sequence[float],
) -> None:
    """Name the marks of `marked` so that names cover neither marks, the path nor the lines.

    `lines` and `labelled_lines` are agreements with a horizontal line; the latter have a name
    below them. The axes must have their final position and limits.
    """
    names: dict[Point, list[str]] = {}
    for row in reversed(marked):  # the default's label first: it gets the best place
        if name := variant_label(row):
            names.setdefault(_pixel(axes, row), []).append(name)
    labels = [Label(*at, " = ".join(same)) for at, same in names.items()]
    taken = [*_marks(axes, marked), *_path(axes, path)]
    taken += [_line(axes, agreement, 1) for agreement in lines]
    taken += [_line(axes, agreement, 18) for agreement in labelled_lines]
    for label, place in zip(labels, place_labels(labels, taken, _bounds(axes)), strict=True):
        _draw(axes, label, place)


def variant_label(row: Row) -> str | None:
    """Label of a row's mark, or None."""
    if row["default"]:
        return "the default"
    if row["change"] in CHANGE_LABELS:
        slots = f", {row['kv']}" if str(row["kv"]).endswith("slots") else ""
        return CHANGE_LABELS[row["change"]] + slots
    return next(
        (name for (change, kv), name in VARIANT_LABELS.items() if is_variant(row, change, kv)), None
    )


def _draw(axes: Axes, label: Label, place: Point) -> None:
    height = _height(axes)
    if line := leader_line(label, place):
        (x, y), (to_x, to_y) = line
        axes.annotate(
            "", (x, height - y), (to_x, height - to_y), "figure points", "figure points",
            {"arrowstyle": "-", "color": "#aaaaaa", "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
    axes.annotate(
        label.text, (place[0], height - place[1]), xycoords="figure points",
        color="#333333", fontsize=FONT_SIZE, annotation_clip=False,
    )  # fmt: skip


def _marks(axes: Axes, rows: Sequence[Row]) -> Iterator[Box]:
    for x, y in (_pixel(axes, row) for row in rows):
        yield x - 4.5, y - 4.5, x + 4.5, y + 4.5


def _path(axes: Axes, rows: Sequence[Row]) -> Iterator[Box]:
    """Yield small boxes along the path through these rows."""
    for (x, y), (to_x, to_y) in pairwise(_pixel(axes, row) for row in rows):
        for share in (n / 20 for n in range(20)):
            at_x, at_y = x + share * (to_x - x), y + share * (to_y - y)
            yield at_x - 1, at_y - 1, at_x + 1, at_y + 1


def _line(axes: Axes, agreement: float, below: float) -> Box:
    """Box of a horizontal line and the pixels `below` it."""
    left, _, right, _ = _bounds(axes)
    y = _height(axes) - float(axes.transData.transform((1.0, agreement))[1])
    return left, y - 1, right, y + below


def _bounds(axes: Axes) -> Box:
    box, height = axes.get_window_extent(), _height(axes)
    return box.x0, height - box.y1 - 4, box.x1 + 8, height - box.y0


def _pixel(axes: Axes, row: Row) -> Point:
    """Position of a row's mark in pixels, y from the top of the figure."""
    x, y = axes.transData.transform((row["flops_ratio"], row["agreement"]))
    return float(x), _height(axes) - float(y)


def _height(axes: Axes) -> float:
    return float(axes.get_figure(root=True).bbox.height)  # type: ignore[union-attr]
