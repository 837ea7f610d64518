"""Which part of a scene the camera shows: it may pan, zoom, and shake on its pole."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# A pole sways with a slow swing and a quicker one (Hz, share of the amplitude, phase).
_SWINGS = ((1.3, 0.7, 0.0), (3.1, 0.3, 1.0))


@dataclass(frozen=True, slots=True)
class PtzPosition:
    """At `time` seconds the window's centre is at (x, y), its size 1/`zoom` of the scene's."""

    time: float
    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0


@dataclass(frozen=True, slots=True)
class ViewRegion:
    """The part that is shown: its corner and its size as a share of the scene's."""

    left: float
    top: float
    size: float


@dataclass(frozen=True, slots=True)
class View:
    """Moves straight from each aim to the next; `shake` is its sway in shares of the window.

    Without aims the whole scene is shown and nothing moves.
    """

    path: tuple[PtzPosition, ...] = ()
    shake: float = 0.0

    @property
    def zoom(self) -> float:
        """The closest it ever looks."""
        return max((aim.zoom for aim in self.path), default=1.0)

    def region(self, t: float) -> ViewRegion:
        """What is shown at `t`."""
        if not self.path:
            return ViewRegion(0.0, 0.0, 1.0)
        aim = self._aim(t)
        size = 1 / aim.zoom
        x, y = aim.x + self._sway(t) * size, aim.y + 0.6 * self._sway(t + 0.21) * size
        edge = 1 - size
        return ViewRegion(min(max(x - size / 2, 0), edge), min(max(y - size / 2, 0), edge), size)

    def crop(self, plane: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """What is shown at `t` of the scene's `plane`, uint8 RGB [h * zoom, w * zoom, 3], as the
        [h, w, 3] picture that a camera takes.
        """
        if not self.path:
            return plane
        window, high, wide = self.region(t), plane.shape[0], plane.shape[1]
        size = round(wide / self.zoom), round(high / self.zoom)
        step = window.size * self.zoom
        coefficients = (step, 0.0, window.left * wide, 0.0, step, window.top * high)
        picture = Image.fromarray(plane).transform(
            size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(picture)

    def _aim(self, t: float) -> PtzPosition:
        times = [aim.time for aim in self.path]
        after = bisect_right(times, t)
        if after in (0, len(times)):
            return self.path[min(after, len(times) - 1)]
        first, second = self.path[after - 1], self.path[after]
        share = (t - first.time) / (second.time - first.time)
        x, y, zoom = (
            a + share * (b - a)
            for a, b in ((first.x, second.x), (first.y, second.y), (first.zoom, second.zoom))
        )
        return PtzPosition(t, x, y, zoom)

    def _sway(self, t: float) -> float:
        swings = (part * np.sin(2 * np.pi * hertz * t + phase) for hertz, part, phase in _SWINGS)
        return float(self.shake * sum(swings))


FIXED_VIEW = View()
