"""Exposure: how bright the whole picture became, found in spite of what changed in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_THIN = 8  # every so many rows and columns are looked at
_FEWEST = 64  # points that a fit needs
_ROUNDS = 5
_FINEST = 2.0  # grey levels below which a difference is noise anyway
_NEGLIGIBLE = 2.5  # grey levels that a tone must make somewhere to be worth applying
_DARK, _BRIGHT = 4, 250  # clipped beyond these: they say nothing of the exposure


@dataclass(frozen=True, slots=True)
class Tone:
    """What exposure makes of brightness: gain * level + offset."""

    gain: float = 1.0
    offset: float = 0.0

    @property
    def same(self) -> bool:
        """Whether nothing comes of it anywhere."""
        return max(abs(self.offset), abs((self.gain - 1) * 255 + self.offset)) < _NEGLIGIBLE

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture under this exposure."""
        curve = np.arange(256, dtype=np.float32) * self.gain + self.offset
        under: NDArray[np.uint8] = np.clip(np.rint(curve), 0, 255).astype(np.uint8)[picture]
        return under

    def of_plane(self, old: Plane, new: Plane) -> Plane:
        """The brightness `old` under this exposure, as far as `new` can be compared with it."""
        if self.same:
            return old
        under = np.clip(old * np.float32(self.gain) + np.float32(self.offset), 0, 255)
        # What was burnt out may have been brighter than white: as bright as it is now, perhaps.
        fair: Plane = np.where(old >= _BRIGHT, np.maximum(under, new), under)
        return fair


def tone(old: Plane, new: Plane) -> Tone:
    """How the exposure changed from `old` to `new`, both [h, w] brightness: gain and offset, by
    iteratively reweighted least squares with Cauchy weights.
    """
    x, y = old[::_THIN, ::_THIN].ravel(), new[::_THIN, ::_THIN].ravel()
    fair = (x > _DARK) & (x < _BRIGHT) & (y > _DARK) & (y < _BRIGHT)
    return _fit(x[fair], y[fair]) if fair.sum() >= _FEWEST else Tone()


def _fit(x: Plane, y: Plane) -> Tone:
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(_ROUNDS):
        error = y - gain * x - offset
        scale = max(_FINEST, 1.5 * float(np.median(np.abs(error))))
        weight = 1 / (1 + (error / scale) ** 2)
        total = weight.sum()
        middle, height = (weight * x).sum() / total, (weight * y).sum() / total
        spread = (weight * (x - middle) ** 2).sum()
        if spread <= total:  # one shade of grey: no gain to be had from it
            return Tone(1.0, float(height - middle))
        gain = float((weight * (x - middle) * (y - height)).sum() / spread)
        offset = float(height - gain * middle)
    return Tone(gain, offset)
