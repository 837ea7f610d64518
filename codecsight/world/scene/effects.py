"""What changes in a scene without anybody walking about: a lamp that is switched, smoke, fire.

Places are fractions of the picture, radii fractions of its width. All of it is behind everybody.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.world.scene.actor import Box
from codecsight.world.scene.backdrop import Paint


class EffectKind(StrEnum):
    """What may be seen."""

    LAMP = "lamp"
    SMOKE = "smoke"
    FIRE = "fire"


@dataclass(frozen=True, slots=True)
class Canvas:
    """Pixels to paint on, float32 [h, w, 3] of 0..255, and where their centres are: `x` [w] and
    `y` [h, 1] in fractions of the picture, which is `aspect` times as wide as high.
    """

    pixels: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    aspect: float

    def disc(self, x: float, y: float, radius: float, tall: float = 1.0) -> NDArray[np.float32]:
        """How far each pixel is from the middle of a disc, squared: 1 on its rim. One that is
        `tall` reaches so much farther up and down.
        """
        down: NDArray[np.float32] = (self.y - y) / (radius * tall * self.aspect)
        return ((self.x - x) / radius) ** 2 + down**2

    def blend(self, cover: NDArray[np.float32], colour: Paint) -> None:
        """Lay a colour over everything; `cover` [h, w] 1 hides what is below."""
        paint = np.array(colour, np.float32)
        self.pixels[...] += cover[..., None] * (paint - self.pixels)


class Effect(Protocol):
    """Something of that kind."""

    @property
    def kind(self) -> EffectKind:
        """What it is."""
        ...

    def box(self, aspect: float) -> Box:
        """What it never reaches beyond, for a picture `aspect` times as wide as high."""
        ...

    def strength(self, t: float) -> float:
        """From 0 (nothing to be seen) to 1 (as plain as it ever is)."""
        ...

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """When it begins or ends within [start, end)."""
        ...

    def paint(self, canvas: Canvas, t: float) -> None:
        """Paint it as it is at `t`."""
        ...


@dataclass(frozen=True, slots=True)
class Lamp:
    """Shines on what is around (x, y) within `radius` from `on` until `off`, and so again after
    each `period`. Its bulb is a `bulb`-th of that; its dark `housing`, if any, shows while it
    is off.
    """

    x: float
    y: float
    radius: float
    on: float
    off: float
    colour: Paint = (255, 236, 180)
    period: float = math.inf
    housing: Paint | None = None
    bulb: float = 0.25

    @property
    def kind(self) -> EffectKind:
        """A lamp."""
        return EffectKind.LAMP

    def box(self, aspect: float) -> Box:
        """What its light reaches."""
        return _around(self.x, self.y, self.radius, self.radius, aspect)

    def strength(self, t: float) -> float:
        """Whether it is on."""
        return float((t - self.on) % self.period < self.off - self.on)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """When it is switched."""
        if self.period == math.inf:
            return _within(start, end, self.on, self.off)
        first, last = (math.floor((t - self.on) / self.period) for t in (start, end))
        days = [number * self.period for number in range(first, last + 1)]
        return _within(start, end, *(day + t for day in days for t in (self.on, self.off)))

    def paint(self, canvas: Canvas, t: float) -> None:
        """Its light, or its housing."""
        far = canvas.disc(self.x, self.y, self.radius)
        bulb = 0.8 * (far <= self.bulb**2).astype(np.float32)
        if self.strength(t):
            canvas.blend(0.25 * (far <= 1).astype(np.float32), self.colour)
            canvas.blend(bulb, self.colour)
        elif self.housing is not None:
            canvas.blend(bulb, self.housing)


@dataclass(frozen=True, slots=True)
class Smoke:
    """Rises from (x, y) from `start` on, in soft puffs of up to `radius`, the last of them at
    `until`. Puffs are `shade` lighter and darker in turn, so as to show before any ground.
    """

    x: float
    y: float
    radius: float
    start: float
    colour: Paint = (150, 150, 152)
    puffs: int = 5
    life: float = 6.0
    until: float = math.inf
    shade: int = 0
    _RISE = 0.35

    @property
    def kind(self) -> EffectKind:
        """Smoke."""
        return EffectKind.SMOKE

    def box(self, aspect: float) -> Box:
        """What its puffs reach on their way up."""
        low = _around(self.x, self.y, self.radius + 0.04, self.radius, aspect)
        return Box(low.left, low.top - self._RISE, low.right, low.bottom)

    def strength(self, t: float) -> float:
        """Grows with its puffs, and goes with them."""
        return _swelling(t, self.start, self.until, self.life / 2)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """When it begins to rise and when no more comes."""
        return _within(start, end, self.start, self.until)

    def paint(self, canvas: Canvas, t: float) -> None:
        """The puffs there are at `t`."""
        for number in range(self.puffs):
            age = t - self.start - number * self.life / self.puffs
            if age >= 0 and t - age % self.life < self.until:
                self._puff(canvas, number, age % self.life / self.life)

    def _puff(self, canvas: Canvas, number: int, age: float) -> None:
        radius = self.radius * (0.35 + 0.65 * age)
        x = self.x + 0.04 * math.sin(3 * age + number)
        far = canvas.disc(x, self.y - self._RISE * age, radius)
        shade = self.shade if number % 2 else -self.shade
        red, green, blue = (level + shade for level in self.colour)
        canvas.blend(0.6 * (1 - age) * np.clip(1 - far, 0, 1), (red, green, blue))


@dataclass(frozen=True, slots=True)
class Fire:
    """Burns on the ground at (x, y) from `start` to `until`, its flames `radius` to each side."""

    x: float
    y: float
    radius: float
    start: float
    until: float

    @property
    def kind(self) -> EffectKind:
        """Fire."""
        return EffectKind.FIRE

    def box(self, aspect: float) -> Box:
        """What its flames reach."""
        high = 2.4 * self.radius * aspect
        return Box(self.x - self.radius, self.y - high, self.x + self.radius, self.y)

    def strength(self, t: float) -> float:
        """Grows and dies within a second."""
        return _swelling(t, self.start, self.until, 1.0)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """When it begins and ends."""
        return _within(start, end, self.start, self.until)

    def paint(self, canvas: Canvas, t: float) -> None:
        """Tongues of flame, red outside and yellow within."""
        strength = self.strength(t)
        if not strength:
            return
        for size, colour in ((1.0, (235, 85, 15)), (0.75, (250, 150, 25)), (0.45, (255, 232, 110))):
            for tongue in (-0.5, 0.0, 0.5):
                lick = 0.75 + 0.25 * math.sin(9 * t + 5 * tongue)
                radius = 0.5 * self.radius * size * strength
                tall = 2.4 * lick * (1.0 if tongue == 0 else 0.7)
                x, y = self.x + tongue * self.radius, self.y - radius * tall * canvas.aspect
                far = canvas.disc(x, y, radius, tall)
                canvas.blend(0.92 * (far <= 1).astype(np.float32), colour)


def _around(x: float, y: float, wide: float, radius: float, aspect: float) -> Box:
    return Box(x - wide, y - radius * aspect, x + wide, y + radius * aspect)


def _swelling(t: float, start: float, until: float, takes: float) -> float:
    """0 before `start`, 1 after it `takes` seconds, back to 0 as long after `until`."""
    grown, gone = (t - start) / takes, (t - until) / takes
    return min(max(grown, 0.0), 1.0) * min(max(1 - gone, 0.0), 1.0)


def _within(start: float, end: float, *times: float) -> tuple[float, ...]:
    return tuple(t for t in times if start <= t < end)
