"""Exposure: how bright the whole picture became, found in spite of what changed in it."""

from dataclasses import dataclass

import numpy as np

from codecsight.change.planes import Plane, Planes, means

_BLOCK = 8  # pixels a side whose mean is looked at: noise in points would pass for less contrast
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

    def of(self, picture: Planes) -> Planes:
        """A picture's planes under this exposure."""
        bright = np.clip(picture[:1] * np.float32(self.gain) + np.float32(self.offset), 0, 255)
        return np.concatenate([bright, self.of_colours(picture)])

    def of_colours(self, picture: Planes) -> Planes:
        """Its differences of colour, [2, h, w]."""
        return picture[1:] if self.same else picture[1:] * np.float32(self.gain)

    def of_plane(self, old: Plane, new: Plane) -> Plane:
        """The brightness `old` under this exposure, as far as `new` can be compared with it."""
        if self.same:
            return old
        under = np.clip(old * np.float32(self.gain) + np.float32(self.offset), 0, 255)
        # What was burnt out may have been brighter than white: as bright as it is now, perhaps.
        fair: Plane = np.where(old >= _BRIGHT, np.maximum(under, new), under)
        return fair


def tone(old: Plane, new: Plane) -> Tone:
    """How the exposure changed from `old` to `new`, both [h, w]: gain and offset, by
    iteratively reweighted least squares with Cauchy weights.
    """
    shape = old.shape[0] // _BLOCK, old.shape[1] // _BLOCK
    x, y = (means(plane, *shape).ravel() for plane in (old, new))
    return fit(x, y)


def fit(old: Plane, new: Plane) -> Tone:
    """The same from places, both [n]."""
    fair = (old > _DARK) & (old < _BRIGHT) & (new > _DARK) & (new < _BRIGHT)
    return _fit(old[fair], new[fair]) if fair.sum() >= _FEWEST else Tone()


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
