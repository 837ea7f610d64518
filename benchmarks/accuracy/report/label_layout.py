"""Place labels next to their marks without covering other labels, marks or lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_CHAR_WIDTH, _LINE_HEIGHT, _GAP = 5.9, 11.0, 8.0
"""In pixels; the gap is from the centre of a mark to its label."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text for the mark at (`x`, `y`)."""

    x: float
    y: float
    text: str


def place_labels(labels: Sequence[Label], taken: Sequence[Box], bounds: Box) -> list[Point]:
    """Return the start of each label's baseline.

    Candidates are positions around the mark that lie within `bounds`. The first one that overlaps
    neither earlier labels nor the `taken` boxes is used, or else the one that overlaps least.
    Boxes are (left, top, right, bottom).
    """
    occupied, positions = list(taken), []
    for label in labels:
        candidates = [place for place in _around(label) if _within(_box(label, place), bounds)]
        best = min(
            candidates or [(label.x + _GAP, label.y + 4)],
            key=lambda place: sum(_overlap(_box(label, place), other) for other in occupied),
        )
        positions.append(best)
        occupied.append(_box(label, best))
    return positions


def leader_line(label: Label, place: Point) -> tuple[Point, Point] | None:
    """Return a line from the mark to its label if the label is too far away to be attributed."""
    left, top, right, bottom = _box(label, place)
    x, y = min(max(label.x, left), right), min(max(label.y, top), bottom)
    far = abs(x - label.x) + abs(y - label.y) > 1.5 * _GAP
    return ((label.x, label.y), (x, y)) if far else None


def _around(label: Label) -> Iterator[Point]:
    """Yield positions beside the mark, then above and below it, then farther away."""
    width = len(label.text) * _CHAR_WIDTH
    for distance in (0, 6, 14, 20, 26, 32, 38, 46, 54, 64):
        for down in (distance, -distance) if distance else (0,):
            yield label.x + _GAP - min(distance, 4), label.y + 4 + down
            yield label.x - _GAP + min(distance, 4) - width, label.y + 4 + down
            if distance >= 14:
                yield label.x - width / 2, label.y + 4 + down


def _box(label: Label, place: Point) -> Box:
    x, y = place
    return x, y - _LINE_HEIGHT + 1, x + len(label.text) * _CHAR_WIDTH, y + 2


def _within(box: Box, bounds: Box) -> bool:
    return (
        box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
    )


def _overlap(one: Box, other: Box) -> float:
    """Area of the intersection of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
