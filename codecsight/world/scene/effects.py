"""Effects that change a scene without any actor: a switched lamp, smoke, fire.

Positions are fractions of the picture, radii fractions of its width. Effects are painted behind
all actors.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.world.scene.actor import Box
from codecsight.world.scene.backdrop import Rgb


class EffectKind(StrEnum):
    """Kind of an effect."""

    LAMP = "lamp"
    SMOKE = "smoke"
    FIRE = "fire"


@dataclass(frozen=True, slots=True)
class Canvas:
    """Pixels to paint on, with their coordinates.

    `pixels` is float32 [h, w, 3] in 0..255. `x` [w] and `y` [h, 1] are the pixel centres in
    fractions of the picture, which is `aspect` times as wide as high.
    """

    pixels: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    aspect: float

    def disc(self, x: float, y: float, radius: float, tall: float = 1.0) -> NDArray[np.float32]:
        """Squared distance [h, w] of each pixel from a disc's centre, 1 on its rim.

        `tall` stretches the disc vertically.
        """
        down: NDArray[np.float32] = (self.y - y) / (radius * tall * self.aspect)
        return ((self.x - x) / radius) ** 2 + down**2

    def blend(self, opacity: NDArray[np.float32], colour: Rgb) -> None:
        """Blend a colour over all pixels; `opacity` [h, w] is 1 where it covers them fully."""
        paint = np.array(colour, np.float32)
        self.pixels[...] += opacity[..., None] * (paint - self.pixels)


class Effect(Protocol):
    """Interface of an effect."""

    @property
    def kind(self) -> EffectKind:
        """Its kind."""
        ...

    def box(self, aspect: float) -> Box:
        """Its bounding box over all times, for a picture `aspect` times as wide as high."""
        ...

    def strength(self, t: float) -> float:
        """Strength at `t`, from 0 (invisible) to 1 (fully developed)."""
        ...

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """Times within [start, end) at which it begins or ends."""
        ...

    def paint(self, canvas: Canvas, t: float) -> None:
        """Paint its state at `t`."""
        ...


@dataclass(frozen=True, slots=True)
class Lamp:
    """Lights a disc of `radius` around (x, y) from `on` to `off`, repeated every `period` seconds.

    The bulb's radius is `bulb_ratio` times `radius`. While the lamp is off its dark `housing`, if
    any, is visible instead of the bulb.
    """

    x: float
    y: float
    radius: float
    on: float
    off: float
    colour: Rgb = (255, 236, 180)
    period: float = math.inf
    housing: Rgb | None = None
    bulb_ratio: float = 0.25

    @property
    def kind(self) -> EffectKind:
        """LAMP."""
        return EffectKind.LAMP

    def box(self, aspect: float) -> Box:
        """The lit area."""
        return _around(self.x, self.y, self.radius, self.radius, aspect)

    def strength(self, t: float) -> float:
        """1 while it is on, else 0."""
        return float((t - self.on) % self.period < self.off - self.on)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """Times at which it is switched."""
        if self.period == math.inf:
            return _within(start, end, self.on, self.off)
        first, last = (math.floor((t - self.on) / self.period) for t in (start, end))
        offsets = [number * self.period for number in range(first, last + 1)]
        switches = (offset + t for offset in offsets for t in (self.on, self.off))
        return _within(start, end, *switches)

    def paint(self, canvas: Canvas, t: float) -> None:
        """Paint its light, or its housing while it is off."""
        distance = canvas.disc(self.x, self.y, self.radius)
        bulb = 0.8 * (distance <= self.bulb_ratio**2).astype(np.float32)
        if self.strength(t):
            canvas.blend(0.25 * (distance <= 1).astype(np.float32), self.colour)
            canvas.blend(bulb, self.colour)
        elif self.housing is not None:
            canvas.blend(bulb, self.housing)


@dataclass(frozen=True, slots=True)
class Smoke:
    """Soft puffs of up to `radius` that rise from (x, y) between `start` and `end`.

    There are `puffs` at a time, each of which lasts `puff_lifetime` seconds. They are alternately
    `contrast` grey levels lighter and darker than `colour`, to be visible on any background.
    """

    x: float
    y: float
    radius: float
    start: float
    colour: Rgb = (150, 150, 152)
    puffs: int = 5
    puff_lifetime: float = 6.0
    end: float = math.inf
    contrast: int = 0
    _RISE = 0.35

    @property
    def kind(self) -> EffectKind:
        """SMOKE."""
        return EffectKind.SMOKE

    def box(self, aspect: float) -> Box:
        """The area that its puffs cover while they rise."""
        low = _around(self.x, self.y, self.radius + 0.04, self.radius, aspect)
        return Box(low.left, low.top - self._RISE, low.right, low.bottom)

    def strength(self, t: float) -> float:
        """Ramps up and down within half a puff's lifetime."""
        return _ramp(t, self.start, self.end, self.puff_lifetime / 2)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """Times of the first and the last puff."""
        return _within(start, end, self.start, self.end)

    def paint(self, canvas: Canvas, t: float) -> None:
        """Paint the puffs that exist at `t`."""
        for number in range(self.puffs):
            age = t - self.start - number * self.puff_lifetime / self.puffs
            if age >= 0 and t - age % self.puff_lifetime < self.end:
                self._puff(canvas, number, age % self.puff_lifetime / self.puff_lifetime)

    def _puff(self, canvas: Canvas, number: int, age: float) -> None:
        radius = self.radius * (0.35 + 0.65 * age)
        x = self.x + 0.04 * math.sin(3 * age + number)
        distance = canvas.disc(x, self.y - self._RISE * age, radius)
        offset = self.contrast if number % 2 else -self.contrast
        red, green, blue = (level + offset for level in self.colour)
        canvas.blend(0.6 * (1 - age) * np.clip(1 - distance, 0, 1), (red, green, blue))


@dataclass(frozen=True, slots=True)
class Fire:
    """Fire on the ground at (x, y) from `start` to `end`; flames extend `radius` to each side."""

    x: float
    y: float
    radius: float
    start: float
    end: float

    @property
    def kind(self) -> EffectKind:
        """FIRE."""
        return EffectKind.FIRE

    def box(self, aspect: float) -> Box:
        """The area of its flames."""
        height = 2.4 * self.radius * aspect
        return Box(self.x - self.radius, self.y - height, self.x + self.radius, self.y)

    def strength(self, t: float) -> float:
        """Ramps up and down within one second."""
        return _ramp(t, self.start, self.end, 1.0)

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """Times at which it begins and ends."""
        return _within(start, end, self.start, self.end)

    def paint(self, canvas: Canvas, t: float) -> None:
        """Paint three flames, red outside and yellow inside."""
        strength = self.strength(t)
        if not strength:
            return
        for size, colour in ((1.0, (235, 85, 15)), (0.75, (250, 150, 25)), (0.45, (255, 232, 110))):
            for flame in (-0.5, 0.0, 0.5):
                flicker = 0.75 + 0.25 * math.sin(9 * t + 5 * flame)
                radius = 0.5 * self.radius * size * strength
                tall = 2.4 * flicker * (1.0 if flame == 0 else 0.7)
                x, y = self.x + flame * self.radius, self.y - radius * tall * canvas.aspect
                distance = canvas.disc(x, y, radius, tall)
                canvas.blend(0.92 * (distance <= 1).astype(np.float32), colour)


def _around(x: float, y: float, half_width: float, radius: float, aspect: float) -> Box:
    return Box(x - half_width, y - radius * aspect, x + half_width, y + radius * aspect)


def _ramp(t: float, start: float, end: float, duration: float) -> float:
    """Ramp from 0 to 1 over `duration` seconds from `start`, and back to 0 from `end`."""
    rising, falling = (t - start) / duration, (t - end) / duration
    return min(max(rising, 0.0), 1.0) * min(max(1 - falling, 0.0), 1.0)


def _within(start: float, end: float, *times: float) -> tuple[float, ...]:
    return tuple(t for t in times if start <= t < end)
