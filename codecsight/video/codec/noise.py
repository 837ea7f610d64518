"""Estimate of the noise in a stream's pictures."""

from statistics import median

import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import Frame

_FRAME_INTERVAL = 5  # one pair of frames is compared in each interval
_PIXEL_STEP = 4  # every fourth row and column is compared


class NoiseMeter:
    """Compares a sample of pixels between pairs of successive frames.

    Most pixels show the same content in both frames, so the median difference is noise: for
    Gaussian noise sigma = median(|a - b|) / (0.6745 * sqrt(2)). Noise that the codec smoothed away
    is not measured; blocks that it skipped are unchanged and count as free of noise.
    """

    def __init__(self) -> None:
        self._number = 0
        self._previous: NDArray[np.int16] | None = None
        self._levels: list[float] = []

    @property
    def level(self) -> float | None:
        """Standard deviation in grey levels (0-255); None before two frames were compared."""
        return median(self._levels) if self._levels else None

    def update(self, frame: Frame) -> None:
        """Add a decoded frame, in display order."""
        self._number += 1
        if self._number % _FRAME_INTERVAL > 1:
            return
        grey = frame.picture.to_ndarray(format="gray")[::_PIXEL_STEP, ::_PIXEL_STEP].astype(
            np.int16
        )
        if self._number % _FRAME_INTERVAL == 1 and self._previous is not None:
            self._compare(grey, self._previous)
        self._previous = grey

    def _compare(self, current: NDArray[np.int16], previous: NDArray[np.int16]) -> None:
        if current.shape == previous.shape:
            # Differences are integers, so the mean of the middle half is finer than the median.
            differences = np.sort(np.abs(current - previous), axis=None)
            middle = differences[differences.size // 4 : 3 * differences.size // 4]
            if middle.size:  # otherwise the picture is too small
                self._levels.append(float(middle.mean()) / 0.6745 / 2**0.5)
