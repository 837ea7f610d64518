"""Conversion of RGB pictures to the planes that are compared: luma and two colour differences.

Y is BT.601 luma; the chroma planes are the unscaled colour differences R - Y and B - Y, so that all
three are in grey levels. RGB of [360, 640, 3] bytes becomes float32 planes of [3, 360, 640].
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from codecsight.jit import cached_njit

RgbImage = NDArray[np.uint8]
"""RGB, [h, w, 3]."""
Plane = NDArray[np.float32]
"""[h, w] in grey levels."""
Mask = NDArray[np.bool_]
"""[h, w], or one value per cell: [rows, cols]."""
Planes = NDArray[np.float32]
"""[3, h, w]: Y, R - Y, B - Y; or [1, h, w]: Y alone."""


@dataclass(eq=False)
class Picture:
    """A sampled picture as RGB, and its planes, converted on first use.

    The planes are float32 and take four times the memory of the RGB bytes. Comparing pictures is
    bound by memory bandwidth, so callers read `rgb` where they can.
    """

    rgb: RgbImage

    @cached_property
    def yuv(self) -> Planes:
        """Y, R - Y and B - Y: [3, h, w]."""
        return rgb_to_yuv(self.rgb)


def rgb_to_yuv(image: RgbImage) -> Planes:
    """Planes Y, R - Y and B - Y of an RGB image: [h, w, 3] -> [3, h, w]."""
    height, width = image.shape[:2]
    planes = np.empty((3, height, width), np.float32)
    _rgb_rows_to_yuv(as_rows(image), planes)
    return planes


def is_rgb(image: RgbImage | Planes) -> TypeGuard[RgbImage]:
    """Whether the array is an RGB image rather than planes."""
    return image.dtype == np.uint8


def as_rows(image: RgbImage) -> NDArray[np.uint8]:
    """An RGB image as interleaved rows: [h, w, 3] -> [h, 3 * w], contiguous."""
    return np.ascontiguousarray(image).reshape(image.shape[0], -1)


@cached_njit
def _rgb_rows_to_yuv(rows: NDArray[np.uint8], planes: Planes) -> None:
    for y in range(planes.shape[1]):
        rgb_row_to_yuv(rows[y], planes[0, y], planes[1, y], planes[2, y])


@cached_njit
def rgb_row_to_yuv(
    row: NDArray[np.uint8],
    luma: NDArray[np.float32],
    red_difference: NDArray[np.float32],
    blue_difference: NDArray[np.float32],
) -> None:
    """Convert one interleaved RGB row [3 * w] into three rows [w]: Y, R - Y and B - Y."""
    for x in range(luma.size):
        value = pixel_luma(row, x)
        luma[x] = value
        red_difference[x], blue_difference[x] = (
            np.float32(row[3 * x]) - value,
            np.float32(row[3 * x + 2]) - value,
        )


@cached_njit
def pixel_luma(row: NDArray[np.uint8], x: int) -> np.float32:
    """BT.601 luma of pixel `x` in an interleaved RGB row [3 * w]."""
    red, green, blue = row[3 * x], row[3 * x + 1], row[3 * x + 2]
    return (
        np.float32(0.299) * np.float32(red)
        + np.float32(0.587) * np.float32(green)
        + np.float32(0.114) * np.float32(blue)
    )
