"""How a coded picture is turned and mirrored for display."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)

_ONE = 1 << 16  # 1.0 in the fixed-point numbers of a display matrix
_W = 1 << 30  # 1.0 in its last element


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to turn and mirror a picture by whole quarters.

    The shown picture is the coded one with rows and columns exchanged if `transpose`, then mirrored
    left to right if `flip_x`, and top to bottom if `flip_y`.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: Sequence[int]) -> "Orientation":
        """The orientation of a display matrix in FFmpeg's layout (libavutil/display.h): nine
        numbers a b u c d v x y w, where (x, y) is shown at (ax + cy, bx + dy).

        An angle between two quarters is rounded to the nearest one. Scale and offset are ignored.
        """
        a, b, c, d = (matrix[index] for index in (0, 1, 3, 4))
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def matrix(self) -> list[int]:
        """The display matrix in FFmpeg's layout."""
        x, y = (-_ONE if self.flip_x else _ONE), (-_ONE if self.flip_y else _ONE)
        linear = (0, y, x, 0) if self.transpose else (x, 0, 0, y)
        return [linear[0], linear[1], 0, linear[2], linear[3], 0, 0, 0, _W]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as shown of a coded picture, and the other way round."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, picture: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """A view of `picture` [rows, cols, ..], or of values per block or cell, as it is shown."""
        turned = picture.swapaxes(0, 1) if self.transpose else picture
        return turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def affine(self, coded: tuple[float, float], shown: tuple[float, float]) -> NDArray[np.float64]:
        """[3, 3], homogeneous: maps points of a picture of `coded` (width, height) pixels to points
        of the same picture as it is shown, scaled to `shown` (width, height) pixels.
        """
        matrix = np.zeros((3, 3))
        matrix[2, 2] = 1.0
        for axis, flip in enumerate((self.flip_x, self.flip_y)):
            source = 1 - axis if self.transpose else axis
            scale = shown[axis] / coded[source]
            matrix[axis, source] = -scale if flip else scale
            matrix[axis, 2] = shown[axis] if flip else 0.0
        return matrix

    def __str__(self) -> str:
        """A description for people."""
        return _NAMES[self.transpose, self.flip_x, self.flip_y]


_NAMES = {
    (False, False, False): "upright",
    (False, True, False): "mirrored left to right",
    (False, False, True): "mirrored top to bottom",
    (False, True, True): "turned 180°",
    (True, True, False): "turned 90° clockwise",
    (True, False, True): "turned 90° counter-clockwise",
    (True, True, True): "mirrored left to right, then turned 90° clockwise",
    (True, False, False): "mirrored left to right, then turned 90° counter-clockwise",
}

UPRIGHT = Orientation()
"""Shown as it is coded."""

MAX_SAMPLE_ASPECT = 8
"""Pixels are never wider or higher than this times the other side: a larger ratio is an error."""


def shown_size(
    width: int, height: int, orientation: Orientation, sample_aspect: Fraction
) -> tuple[int, int]:
    """(width, height) at which a player shows a coded picture of `width` x `height` pixels: turned,
    and with square pixels. `sample_aspect` is the width of a coded pixel divided by its height; 0
    or a ratio beyond MAX_SAMPLE_ASPECT counts as square.
    """
    if sample_aspect and 1 <= sample_aspect * MAX_SAMPLE_ASPECT <= MAX_SAMPLE_ASPECT**2:
        width = max(1, round(width * sample_aspect))
    return orientation.size(width, height)
