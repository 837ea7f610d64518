"""The part of a scene that the camera shows: it may pan, zoom and shake."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Camera shake: two sine waves (Hz, share of the amplitude, phase).
_SWAYS = ((1.3, 0.7, 0.0), (3.1, 0.3, 1.0))


@dataclass(frozen=True, slots=True)
class PtzPosition:
    """Camera position: the view is centred at (x, y), with 1/`zoom` of the scene's size."""

    time: float
    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0


@dataclass(frozen=True, slots=True)
class ViewRegion:
    """The visible part: its top left corner and its size, as fractions of the scene."""

    left: float
    top: float
    size: float


@dataclass(frozen=True, slots=True)
class View:
    """Camera motion: linear between the positions of `path`, plus `shake`.

    `shake` is the amplitude as a fraction of the visible region. Without a path the whole scene is
    visible and the camera is fixed.
    """

    path: tuple[PtzPosition, ...] = ()
    shake: float = 0.0

    @property
    def zoom(self) -> float:
        """The maximum zoom over all times."""
        return max((position.zoom for position in self.path), default=1.0)

    def region(self, t: float) -> ViewRegion:
        """The visible region at `t`."""
        if not self.path:
            return ViewRegion(0.0, 0.0, 1.0)
        position = self._position(t)
        size = 1 / position.zoom
        x = position.x + self._sway(t) * size
        y = position.y + 0.6 * self._sway(t + 0.21) * size
        limit = 1 - size
        return ViewRegion(min(max(x - size / 2, 0), limit), min(max(y - size / 2, 0), limit), size)

    def crop(self, scene_image: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """Crop and scale the whole scene to the region visible at `t`.

        Takes uint8 RGB [h * zoom, w * zoom, 3] with the view's maximum zoom, gives [h, w, 3].
        """
        if not self.path:
            return scene_image
        region, (height, width, _) = self.region(t), scene_image.shape
        size = round(width / self.zoom), round(height / self.zoom)
        step = region.size * self.zoom
        coefficients = (step, 0.0, region.left * width, 0.0, step, region.top * height)
        picture = Image.fromarray(scene_image).transform(
            size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(picture)

    def _position(self, t: float) -> PtzPosition:
        times = [position.time for position in self.path]
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
        waves = (share * np.sin(2 * np.pi * hertz * t + phase) for hertz, share, phase in _SWAYS)
        return float(self.shake * sum(waves))


FIXED_VIEW = View()
