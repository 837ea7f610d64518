"""The shapes of people, vehicles and bags, as labelled pixels."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from codecsight.world.actor import COLOURS, Actor, Box, Kind


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle or ellipse within the unit square of an actor's box, in one colour."""

    form: Literal["rectangle", "ellipse"]
    left: float
    top: float
    right: float
    bottom: float
    paint: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sprite:
    """An actor's pixels: `labels` [h, w] int8 is the part each shows or -1; its corner is at
    (`x`, `y`), in pixels of the picture, and may lie outside. `palette` is uint8 [parts, 3].
    """

    x: int
    y: int
    labels: NDArray[np.int8]
    palette: NDArray[np.uint8]

    def within(self, width: int, height: int) -> tuple[slice, slice, NDArray[np.int8]]:
        """The rows and columns it covers of a picture of that size, and its labels there."""
        high, wide = self.labels.shape
        top, left = min(max(self.y, 0), height), min(max(self.x, 0), width)
        bottom = min(max(self.y + high, top), height)
        right = min(max(self.x + wide, left), width)
        labels = self.labels[top - self.y : bottom - self.y, left - self.x : right - self.x]
        return slice(top, bottom), slice(left, right), labels


def sprite(actor: Actor, box: Box, t: float, width: int, height: int) -> Sprite:
    """The shape of `actor` at `t` in a picture of `width` x `height` pixels.

    A pixel belongs to it when its centre lies within one of its parts, so nothing is ever drawn
    outside `box`.
    """
    parts = _parts(actor, t)
    x, u = _centres(box.left * width, box.right * width)
    y, v = _centres(box.top * height, box.bottom * height)
    if actor.heads_left(t):
        u = 1 - u
    upright = (v, u) if actor.lies(t) else (u, v)
    labels = np.full((len(upright[1]), len(upright[0])), -1, np.int8)
    for index, part in enumerate(parts):
        labels[_covered(part, *upright)] = index
    labels = labels.T if actor.lies(t) else labels
    return Sprite(x, y, labels, np.array([part.paint for part in parts], np.uint8))


def _centres(start: float, end: float) -> tuple[int, NDArray[np.float64]]:
    first, last = math.ceil(start - 0.5), math.ceil(end - 0.5)
    at = np.arange(first, last, dtype=np.float64)
    return first, (at + (0.5 - start)) / (end - start)


def _covered(part: Part, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    across = (2 * u - part.left - part.right) / (part.right - part.left)
    down = (2 * v - part.top - part.bottom) / (part.bottom - part.top)
    if part.form == "rectangle":
        inside: NDArray[np.bool_] = (np.abs(down) <= 1)[:, None] & (np.abs(across) <= 1)
    else:
        inside = (down**2)[:, None] + across**2 <= 1
    return inside


def _parts(actor: Actor, t: float) -> tuple[Part, ...]:
    paint = COLOURS[actor.colour]
    match actor.kind:
        case Kind.PERSON:
            return _runner(actor, t, paint) if actor.runs(t) else _person(actor, t, paint)
        case Kind.VEHICLE:
            return _vehicle(paint)
        case Kind.BAG:
            return _bag(paint)


def _person(actor: Actor, t: float, paint: tuple[int, int, int]) -> tuple[Part, ...]:
    x, _ = actor.place(t)
    moving = actor.velocity(t) != (0.0, 0.0)
    swing = 0.14 * math.sin(x * 60) if moving else 0.04
    skin, trousers = _complexion(actor)
    return (
        Part("rectangle", 0.30 + swing, 0.56, 0.49 + swing, 1.0, trousers),
        Part("rectangle", 0.51 - swing, 0.56, 0.70 - swing, 1.0, trousers),
        Part("ellipse", 0.06, 0.19, 0.94, 0.42, paint),
        Part("rectangle", 0.16, 0.26, 0.84, 0.62, paint),
        Part("ellipse", 0.29, 0.0, 0.71, 0.21, skin),
        Part("ellipse", 0.27, 0.0, 0.66, 0.09, (52, 40, 32)),
    )


def _runner(actor: Actor, t: float, paint: tuple[int, int, int]) -> tuple[Part, ...]:
    """Leaning forward, arms out, with long strides."""
    swing = 0.2 * math.sin(actor.place(t)[0] * 40)
    skin, trousers = _complexion(actor)
    return (
        Part("rectangle", 0.26 + swing, 0.56, 0.46 + swing, 0.97 - abs(swing), trousers),
        Part("rectangle", 0.46 - swing, 0.56, 0.66 - swing, 1.0, trousers),
        Part("rectangle", 0.62, 0.30, 1.0, 0.37, skin),
        Part("rectangle", 0.0, 0.38, 0.40, 0.45, skin),
        Part("ellipse", 0.20, 0.17, 0.92, 0.46, paint),
        Part("rectangle", 0.20, 0.30, 0.74, 0.60, paint),
        Part("ellipse", 0.52, 0.0, 0.94, 0.21, skin),
        Part("ellipse", 0.50, 0.0, 0.88, 0.09, (52, 40, 32)),
    )


def _complexion(actor: Actor) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Colours of skin and trousers."""
    skin = (224, 180, 145) if actor.identity % 3 else (120, 82, 60)
    return skin, ((50, 52, 66), (92, 84, 72), (38, 40, 44))[actor.identity % 3]


def _vehicle(paint: tuple[int, int, int]) -> tuple[Part, ...]:
    glass, tyre = (96, 122, 140), (24, 24, 26)
    roof = (int(paint[0] * 0.85), int(paint[1] * 0.85), int(paint[2] * 0.85))
    return (
        Part("ellipse", 0.12, 0.0, 0.80, 0.95, roof),
        Part("rectangle", 0.0, 0.40, 1.0, 0.84, paint),
        Part("rectangle", 0.23, 0.13, 0.44, 0.40, glass),
        Part("rectangle", 0.48, 0.13, 0.69, 0.40, glass),
        Part("ellipse", 0.11, 0.62, 0.30, 1.0, tyre),
        Part("ellipse", 0.70, 0.62, 0.89, 1.0, tyre),
        Part("rectangle", 0.95, 0.48, 1.0, 0.60, (250, 240, 190)),
    )


def _bag(paint: tuple[int, int, int]) -> tuple[Part, ...]:
    strap = (74, 56, 42)
    return (
        Part("ellipse", 0.22, 0.0, 0.78, 0.7, strap),
        Part("rectangle", 0.03, 0.34, 0.97, 1.0, paint),
        Part("rectangle", 0.03, 0.50, 0.97, 0.62, strap),
    )
