"""Exposure: how bright the whole picture became, found in spite of what changed in it."""

from dataclasses import dataclass

import numpy as np

from codecsight.change.measurement.yuv_planes import (
    Plane,
    Planes,
    RgbImage,
    bright_means,
    is_picture,
)
from codecsight.jit import cached_njit

_BLOCK = 8  # pixels a side whose mean is looked at: noise in points would pass for less contrast
_FEWEST = 64  # points that a fit needs
_ROUNDS = 5
_FINEST = 2.0  # grey levels below which a difference is noise anyway
_NEGLIGIBLE = 2.5  # grey levels that a tone must make somewhere to be worth applying
_NIL, _ONE = np.float32(0), np.float32(1)
_DARK, BRIGHT = 4, 250  # clipped beyond these: they say nothing of the exposure


@dataclass(frozen=True, slots=True)
class Exposure:
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


def tone(old: RgbImage | Planes, new: RgbImage | Planes) -> Exposure:
    """How the exposure changed from `old` to `new`: gain and offset, by iteratively reweighted
    least squares with Cauchy weights.
    """
    height, width = new.shape[:2] if is_picture(new) else new.shape[1:]
    x, y = (bright_means(each, height // _BLOCK, width // _BLOCK).ravel() for each in (old, new))
    return fit(x, y)


def fit(old: Plane, new: Plane) -> Exposure:
    """The same from places, both [n]."""
    return Exposure(*_fit(old, new))


@cached_njit
def _fit(old: Plane, new: Plane) -> tuple[float, float]:
    x, y = _fair(old, new)
    if x.size < _FEWEST:
        return 1.0, 0.0
    gain, offset = np.float32(1), np.float32(np.median(y - x))
    error = np.empty_like(x)
    for _ in range(_ROUNDS):
        for n in range(x.size):
            error[n] = abs(y[n] - gain * x[n] - offset)
        narrow = np.float32(1 / max(_FINEST, 1.5 * np.median(error)))
        total, across, up = _moments(x, y, error, narrow, _NIL, _NIL)[:3]
        middle, height = np.float32(across / total), np.float32(up / total)
        moments = _moments(x, y, error, narrow, middle, height)
        if moments[3] <= total:  # one shade of grey: no gain to be had from it
            return 1.0, float(height - middle)
        gain = np.float32(moments[4] / moments[3])
        offset = height - gain * middle
    return float(gain), float(offset)


@cached_njit
def _moments(
    x: Plane, y: Plane, error: Plane, narrow: np.float32, middle: np.float32, height: np.float32
) -> tuple[float, float, float, float, float]:
    """Sums of 1, x, y, x x and x y from (middle, height), each place weighed by its `error`."""
    total = across = up = spread = together = _NIL
    for n in range(x.size):
        far = error[n] * narrow
        weight = _ONE / (_ONE + far * far)
        beside, above = weight * (x[n] - middle), y[n] - height
        total += weight
        across += beside
        up += weight * above
        spread += beside * (x[n] - middle)
        together += beside * above
    return float(total), float(across), float(up), float(spread), float(together)


@cached_njit
def _fair(old: Plane, new: Plane) -> tuple[Plane, Plane]:
    """The places of which both pictures say something."""
    x, y = np.empty(old.size, np.float32), np.empty(old.size, np.float32)
    count = 0
    for n in range(old.size):
        if _DARK < old[n] < BRIGHT and _DARK < new[n] < BRIGHT:
            x[count], y[count] = old[n], new[n]
            count += 1
    return x[:count], y[:count]
