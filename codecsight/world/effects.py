"""What changes in a scene without anybody moving: a lamp that is switched, smoke that rises."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.world.backdrop import Paint, Patch, Picture


@dataclass(frozen=True, slots=True)
class Lamp:
    """Shines on what is around (x, y) within `radius` (of the width) from `on` until `off`; it
    hangs behind everybody.
    """

    x: float
    y: float
    radius: float
    on: float
    off: float
    colour: Paint = (255, 236, 180)

    def paint(self, picture: Picture, t: float) -> None:
        """Paint its light at `t` over `picture` [h, w, 3]."""
        if not self.on <= t < self.off:
            return
        aspect = picture.shape[1] / picture.shape[0]
        for share, cover in ((1.0, 0.25), (0.25, 0.8)):
            wide, high = self.radius * share, self.radius * share * aspect
            x, y = self.x, self.y
            patch = Patch(x - wide, y - high, x + wide, y + high, self.colour, True, cover)
            patch.paint(picture)


@dataclass(frozen=True, slots=True)
class Smoke:
    """Rises from (x, y) from `start` on, in soft puffs of up to `radius` (of the width)."""

    x: float
    y: float
    radius: float
    start: float
    colour: Paint = (150, 150, 152)
    puffs: int = 5
    life: float = 6.0

    def paint(self, picture: Picture, t: float) -> None:
        """Paint the puffs there are at `t` over `picture` [h, w, 3]."""
        for number in range(self.puffs):
            age = t - self.start - number * self.life / self.puffs
            if age >= 0:
                self._puff(picture, number, age % self.life / self.life)

    def _puff(self, picture: Picture, number: int, age: float) -> None:
        high, wide = picture.shape[:2]
        radius = self.radius * (0.35 + 0.65 * age) * wide
        x = (self.x + 0.04 * np.sin(3 * age + number)) * wide
        y = (self.y - 0.35 * age) * high
        down = ((np.arange(high, dtype=np.float32) + 0.5 - y) / radius)[:, None]
        across = (np.arange(wide, dtype=np.float32) + 0.5 - x) / radius
        cover = 0.6 * (1 - age) * np.clip(1 - down**2 - across**2, 0, 1)[..., None]
        paint: NDArray[np.float32] = np.array(self.colour, np.float32)
        picture += cover * (paint - picture)


Effect = Lamp | Smoke
