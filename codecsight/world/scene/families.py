"""Families of places: each draws its own kind of background from a seed.

`TRAINING_FAMILIES` are used for training, `HELD_OUT_FAMILIES` only to measure on unseen places.
The order of the random draws is part of the data: another order changes every scene.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codecsight.core.errors import CodecSightError
from codecsight.world.scene.backdrop import Gradient, Layer, Rgb, Shape, Texture, Tiles

Layout = Callable[[np.random.Generator], tuple[Layer, ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of place.

    `layout` draws a background. `floor` is the range of y in which feet may be. `light` is the
    range of the brightness factor, `noise` the range of the sensor's noise in grey levels.
    """

    name: str
    layout: Layout
    floor: tuple[float, float]
    light: tuple[float, float]
    noise: tuple[float, float]


def _grey(rng: np.random.Generator, low: int, high: int, tint: int = 14) -> Rgb:
    level = int(rng.integers(low, high))
    red, green, blue = (int(np.clip(level + rng.integers(-tint, tint + 1), 0, 255)) for _ in "rgb")
    return red, green, blue


def _clutter(rng: np.random.Generator, bottom: float) -> tuple[Layer, ...]:
    """Up to four distractor rectangles (posts, bins, posters), some of them colourful."""
    layers: list[Layer] = []
    for _ in range(rng.integers(0, 5)):
        x, y = rng.uniform(0, 0.95), rng.uniform(0.1, bottom)
        tint = 60 if rng.random() < 0.3 else 14
        wide, high = rng.uniform(0.01, 0.12), rng.uniform(0.03, 0.22)
        layers.append(Shape(x, y - high, x + wide, y, _grey(rng, 50, 190, tint)))
    return tuple(layers)


def _grains(rng: np.random.Generator) -> tuple[Layer, ...]:
    fine, coarse = (int(rng.integers(1 << 31)) for _ in "ab")
    return (
        Texture(coarse, int(rng.integers(3, 9)), rng.uniform(2, 9)),
        Texture(fine, int(rng.integers(40, 90)), rng.uniform(1, 5)),
    )


def _windows(rng: np.random.Generator, top: float, bottom: float) -> tuple[Layer, ...]:
    pane, count = _grey(rng, 60, 200), int(rng.integers(2, 7))
    high = (bottom - top) * rng.uniform(0.3, 0.6)
    return tuple(
        Shape((i + 0.25) / count, top + 0.04, (i + 0.7) / count, top + 0.04 + high, pane)
        for i in range(count)
    )


def _yard(rng: np.random.Generator) -> tuple[Layer, ...]:
    horizon = rng.uniform(0.25, 0.42)
    grass = (int(rng.integers(70, 120)), int(rng.integers(95, 140)), int(rng.integers(55, 90)))
    ground = grass if rng.random() < 0.5 else _grey(rng, 90, 170)
    return (
        Gradient(0, horizon, _grey(rng, 150, 230), _grey(rng, 120, 200)),
        *_windows(rng, 0.0, horizon),
        Gradient(horizon, 1, ground, _grey(rng, 80, 160)),
        *_grains(rng),
        *_clutter(rng, 0.7),
    )


def _street(rng: np.random.Generator) -> tuple[Layer, ...]:
    walls, kerb = rng.uniform(0.2, 0.35), rng.uniform(0.45, 0.6)
    line, count = rng.uniform(0.7, 0.85), int(rng.integers(4, 9))
    mark = _grey(rng, 170, 215)
    dashes = tuple(
        Shape(i / count, line, (i + 0.5) / count, line + 0.02, mark) for i in range(count)
    )
    return (
        Gradient(0, walls, _grey(rng, 110, 200), _grey(rng, 90, 180)),
        *_windows(rng, 0.0, walls),
        Gradient(walls, kerb, _grey(rng, 130, 190), _grey(rng, 130, 190)),
        Gradient(kerb, 1, _grey(rng, 70, 110), _grey(rng, 80, 125)),
        *dashes,
        *_grains(rng),
        *_clutter(rng, kerb),
    )


def _hall(rng: np.random.Generator) -> tuple[Layer, ...]:
    skirting = rng.uniform(0.3, 0.5)
    door = rng.uniform(0.05, 0.8)
    floor = _grey(rng, 110, 190)
    return (
        Gradient(0, skirting, _grey(rng, 140, 215), _grey(rng, 130, 200)),
        Shape(door, 0.06, door + 0.13, skirting, _grey(rng, 60, 140, 30)),
        Gradient(skirting, 1, floor, floor),
        Tiles(skirting, 1, int(rng.integers(4, 8)), int(rng.integers(6, 14)), rng.uniform(-16, 16)),
        *_grains(rng),
        *_clutter(rng, skirting),
    )


def _night(rng: np.random.Generator) -> tuple[Layer, ...]:
    horizon = rng.uniform(0.2, 0.4)
    lamps = tuple(
        Shape(x, 0.5, x + rng.uniform(0.2, 0.4), 1.0, (235, 215, 165), ellipse=True, opacity=0.3)
        for x in rng.uniform(-0.1, 0.8, size=rng.integers(1, 4))
    )
    return (
        Gradient(0, horizon, _grey(rng, 15, 50), _grey(rng, 40, 80)),
        *_windows(rng, 0.02, horizon),
        Gradient(horizon, 1, _grey(rng, 65, 120), _grey(rng, 80, 140)),
        *lamps,
        *_grains(rng),
        *_clutter(rng, 0.6),
    )


def _plaza(rng: np.random.Generator) -> tuple[Layer, ...]:
    edge, x = rng.uniform(0.25, 0.4), rng.uniform(0.2, 0.6)
    column = _grey(rng, 150, 220)
    columns = tuple(Shape(c, 0, c + 0.04, edge, column) for c in np.linspace(0.05, 0.9, 6))
    return (
        Gradient(0, edge, _grey(rng, 120, 180), _grey(rng, 90, 150)),
        *columns,
        Gradient(edge, 1, (165, 130, 112), (150, 122, 108)),
        Tiles(edge, 1, int(rng.integers(10, 18)), int(rng.integers(16, 28)), rng.uniform(-14, 14)),
        Shape(x, edge, x + 0.25, edge + 0.12, (120, 150, 170), ellipse=True),
        *_grains(rng),
        *_clutter(rng, 0.5),
    )


def _garage(rng: np.random.Generator) -> tuple[Layer, ...]:
    wall, count = rng.uniform(0.3, 0.45), int(rng.integers(3, 6))
    bays = tuple(
        Shape(i / count, wall, i / count + 0.012, 0.75, (190, 180, 120)) for i in range(count)
    )
    pillars = tuple(
        Shape(x, 0.0, x + 0.06, wall + 0.1, _grey(rng, 100, 150)) for x in rng.uniform(0, 0.9, 3)
    )
    return (
        Gradient(0, wall, _grey(rng, 60, 110), _grey(rng, 90, 150)),
        Gradient(wall, 1, _grey(rng, 90, 140), _grey(rng, 110, 165)),
        *bays,
        *pillars,
        *_grains(rng),
        *_clutter(rng, 0.55),
    )


FAMILIES = {
    family.name: family
    for family in (
        Family("yard", _yard, (0.55, 0.97), (0.75, 1.12), (0.5, 4)),
        Family("street", _street, (0.55, 0.97), (0.75, 1.12), (0.5, 4)),
        Family("hall", _hall, (0.6, 0.98), (0.7, 1.05), (0.5, 4)),
        Family("night", _night, (0.55, 0.97), (0.5, 0.75), (2, 7)),
        Family("plaza", _plaza, (0.55, 0.97), (0.7, 1.12), (0.5, 4)),
        Family("garage", _garage, (0.55, 0.97), (0.6, 0.9), (1, 5)),
    )
}
TRAINING_FAMILIES = ("yard", "street", "hall", "night")
HELD_OUT_FAMILIES = ("plaza", "garage")


def get_family(name: str) -> Family:
    """The family of that name. Raises CodecSightError for an unknown name."""
    if name not in FAMILIES:
        raise CodecSightError(f"no world family {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
