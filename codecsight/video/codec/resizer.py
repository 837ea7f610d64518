"""Scales frames to the size that a model or tracker needs."""

from typing import cast

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from codecsight.core.frame import Frame


class Resizer:
    """Scales frames to one size by area averaging; use one instance per stream."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._reformatter = VideoReformatter()

    def rgb(self, frame: Frame) -> NDArray[np.uint8]:
        """The scaled picture as RGB, uint8 [height, width, 3]."""
        return self._scaled(frame, "rgb24")

    def luma(self, frame: Frame) -> NDArray[np.uint8]:
        """The scaled picture's luma, uint8 [height, width]."""
        return self._scaled(frame, "gray")

    def _scaled(self, frame: Frame, pixel_format: str) -> NDArray[np.uint8]:
        picture = self._reformatter.reformat(
            frame.picture,
            width=self._width,
            height=self._height,
            format=pixel_format,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        return cast(NDArray[np.uint8], picture.to_ndarray())
