"""Estimation of a global exposure change between two pictures: a gain and an offset of luma.

The fit is robust, so that what changed in the scene does not count as a change of exposure.
"""

from dataclasses import dataclass

import numpy as np

from codecsight.change.measurement.cell_statistics import luma_means
from codecsight.change.measurement.yuv_planes import Plane, Planes, RgbImage, is_rgb
from codecsight.jit import cached_njit

_BLOCK = 8  # pixels a side of the means that are fitted: noise of single pixels lowers the gain
_MIN_POINTS = 64  # that a fit needs
_ITERATIONS = 5
_MIN_SCALE = 2.0  # lower bound of the Cauchy scale in grey levels: smaller residuals are noise
_NEGLIGIBLE = 2.5  # grey levels that an exposure must change somewhere to be worth applying
_ZERO, _ONE = np.float32(0), np.float32(1)
_DARK, SATURATED = 4, 250  # values outside may be clipped and are not used for the fit


@dataclass(frozen=True, slots=True)
class Exposure:
    """A global change of exposure: luma becomes gain * luma + offset."""

    gain: float = 1.0
    offset: float = 0.0

    @property
    def negligible(self) -> bool:
        """Whether no luma from 0 to 255 changes by as much as _NEGLIGIBLE grey levels."""
        return max(abs(self.offset), abs((self.gain - 1) * 255 + self.offset)) < _NEGLIGIBLE

    def apply(self, planes: Planes) -> Planes:
        """The planes [3, h, w] under this exposure, luma clipped to 0..255."""
        luma = np.clip(planes[:1] * np.float32(self.gain) + np.float32(self.offset), 0, 255)
        return np.concatenate([luma, self.apply_to_chroma(planes)])

    def apply_to_chroma(self, planes: Planes) -> Planes:
        """The colour differences of planes [3, h, w] under this exposure: [2, h, w]."""
        return planes[1:] if self.negligible else planes[1:] * np.float32(self.gain)


def estimate_exposure(old: RgbImage | Planes, new: RgbImage | Planes) -> Exposure:
    """The exposure change from `old` to `new`: gain and offset by iteratively reweighted least
    squares with Cauchy weights, over the mean luma of 8x8 blocks.
    """
    height, width = new.shape[:2] if is_rgb(new) else new.shape[1:]
    x, y = (luma_means(each, height // _BLOCK, width // _BLOCK).ravel() for each in (old, new))
    return fit_exposure(x, y)


def fit_exposure(old: Plane, new: Plane) -> Exposure:
    """The exposure change between corresponding luma samples, both [n]."""
    return Exposure(*_fit(old, new))


@cached_njit
def _fit(old: Plane, new: Plane) -> tuple[float, float]:
    x, y = _unclipped(old, new)
    if x.size < _MIN_POINTS:
        return 1.0, 0.0
    gain, offset = np.float32(1), np.float32(np.median(y - x))
    residuals = np.empty_like(x)
    for _ in range(_ITERATIONS):
        for n in range(x.size):
            residuals[n] = abs(y[n] - gain * x[n] - offset)
        inverse_scale = np.float32(1 / max(_MIN_SCALE, 1.5 * np.median(residuals)))
        weight_sum, x_sum, y_sum = _moments(x, y, residuals, inverse_scale, _ZERO, _ZERO)[:3]
        x_mean, y_mean = np.float32(x_sum / weight_sum), np.float32(y_sum / weight_sum)
        # Moments about the weighted mean: about 0, float32 would cancel.
        moments = _moments(x, y, residuals, inverse_scale, x_mean, y_mean)
        if moments[3] <= weight_sum:  # variance below 1: a uniform grey determines no gain
            return 1.0, float(y_mean - x_mean)
        gain = np.float32(moments[4] / moments[3])
        offset = y_mean - gain * x_mean
    return float(gain), float(offset)


@cached_njit
def _moments(
    x: Plane,
    y: Plane,
    residuals: Plane,
    inverse_scale: np.float32,
    x_origin: np.float32,
    y_origin: np.float32,
) -> tuple[float, float, float, float, float]:
    """Weighted sums of 1, x, y, x * x and x * y about (x_origin, y_origin), with Cauchy weights
    1 / (1 + (residual / scale)^2).
    """
    weight_sum = x_sum = y_sum = xx_sum = xy_sum = _ZERO
    for n in range(x.size):
        scaled = residuals[n] * inverse_scale
        weight = _ONE / (_ONE + scaled * scaled)
        weighted_x, centred_y = weight * (x[n] - x_origin), y[n] - y_origin
        weight_sum += weight
        x_sum += weighted_x
        y_sum += weight * centred_y
        xx_sum += weighted_x * (x[n] - x_origin)
        xy_sum += weighted_x * centred_y
    return float(weight_sum), float(x_sum), float(y_sum), float(xx_sum), float(xy_sum)


@cached_njit
def _unclipped(old: Plane, new: Plane) -> tuple[Plane, Plane]:
    """The samples that are neither too dark nor saturated in either picture."""
    x, y = np.empty(old.size, np.float32), np.empty(old.size, np.float32)
    count = 0
    for n in range(old.size):
        if _DARK < old[n] < SATURATED and _DARK < new[n] < SATURATED:
            x[count], y[count] = old[n], new[n]
            count += 1
    return x[:count], y[:count]
