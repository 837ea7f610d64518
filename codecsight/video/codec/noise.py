"""How noisy a stream's pictures are."""

from statistics import median

import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import Frame

_EVERY = 5  # frames from one look to the next
_STEP = 4  # rows and columns from one pixel looked at to the next


class NoiseMeter:
    """Compares frames that follow one another, pixel by pixel, some of them here and there.

    Most pixels show the same thing in both, so the median difference between two frames is noise:
    sigma = median(|a - b|) / (0.6745 * sqrt(2)) for a Gaussian one. What the codec smoothed away
    isn't seen any more; what it had no bits for stays as it was, and counts as none.
    """

    def __init__(self) -> None:
        self._number = 0
        self._before: NDArray[np.int16] | None = None
        self._levels: list[float] = []

    @property
    def level(self) -> float | None:
        """Standard deviation in grey levels of 255; None before two frames could be compared."""
        return median(self._levels) if self._levels else None

    def update(self, frame: Frame) -> None:
        """Take in a decoded frame."""
        self._number += 1
        if self._number % _EVERY > 1:
            return
        grey = frame.picture.to_ndarray(format="gray")[::_STEP, ::_STEP].astype(np.int16)
        if self._number % _EVERY == 1 and self._before is not None:
            self._compare(grey, self._before)
        self._before = grey

    def _compare(self, now: NDArray[np.int16], before: NDArray[np.int16]) -> None:
        if now.shape == before.shape:
            # The mean of the middle half stands in for the median: differences are whole numbers.
            apart = np.sort(np.abs(now - before), axis=None)
            middle = apart[apart.size // 4 : 3 * apart.size // 4]
            self._levels.append(float(middle.mean()) / 0.6745 / 2**0.5)
