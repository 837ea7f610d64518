"""Where names go beside their marks, so that none lies over another, a mark or a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_WIDE, _HIGH, _GAP = 5.9, 11.0, 8.0
"""Pixels: of a letter, of a line of text, from a mark's middle to its name."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is written beside the mark at (`x`, `y`)."""

    x: float
    y: float
    text: str


def placed(labels: Sequence[Label], taken: Sequence[Box], bounds: Box) -> list[Point]:
    """Where each text begins, on its baseline: of the places around its mark that lie within
    `bounds` (all boxes are left, top, right, bottom), the first that is clear of the labels before
    it and of what else has `taken` its room, or the least bad.
    """
    full, found = list(taken), []
    for label in labels:
        places = [place for place in _around(label) if _within(_box(label, place), bounds)]
        best = min(
            places or [(label.x + _GAP, label.y + 4)],
            key=lambda place: sum(_common(_box(label, place), other) for other in full),
        )
        found.append(best)
        full.append(_box(label, best))
    return found


def leader(label: Label, place: Point) -> tuple[Point, Point] | None:
    """A line from the mark to a name that stands too far off to be known for its own."""
    left, top, right, bottom = _box(label, place)
    x, y = min(max(label.x, left), right), min(max(label.y, top), bottom)
    far = abs(x - label.x) + abs(y - label.y) > 1.5 * _GAP
    return ((label.x, label.y), (x, y)) if far else None


def _around(label: Label) -> Iterator[Point]:
    """Beside its mark, then above and below it, then farther off."""
    wide = len(label.text) * _WIDE
    for away in (0, 6, 14, 20, 26, 32, 38, 46, 54, 64):
        for down in (away, -away) if away else (0,):
            yield label.x + _GAP - min(away, 4), label.y + 4 + down
            yield label.x - _GAP + min(away, 4) - wide, label.y + 4 + down
            if away >= 14:
                yield label.x - wide / 2, label.y + 4 + down


def _box(label: Label, place: Point) -> Box:
    x, y = place
    return x, y - _HIGH + 1, x + len(label.text) * _WIDE, y + 2


def _within(box: Box, bounds: Box) -> bool:
    return (
        box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
    )


def _common(one: Box, other: Box) -> float:
    """The area that lies in both."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
