"""Scales frames to the size that a model or tracker needs."""

from typing import cast

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from codecsight.core.frame import Frame


class Resizer:
    """Scales frames to one size by area averaging, turned as they are shown (see Frame); use one
    instance per stream.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._reformatter = VideoReformatter()

    def rgb(self, frame: Frame) -> NDArray[np.uint8]:
        """The scaled picture as RGB, uint8 [height, width, 3]."""
        return self._scaled(frame, "rgb24")

    def luma(self, frame: Frame) -> NDArray[np.uint8]:
        """The scaled picture's luma, uint8 [height, width]."""
        return self._scaled(frame, "gray")

    def _scaled(self, frame: Frame, pixel_format: str) -> NDArray[np.uint8]:
        # Scaled first, then turned: turning the smaller picture is cheaper.
        width, height = frame.orientation.size(*self._size)
        picture = self._reformatter.reformat(
            frame.picture,
            width=width,
            height=height,
            format=pixel_format,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        scaled = cast(NDArray[np.uint8], picture.to_ndarray())
        return np.ascontiguousarray(frame.orientation.apply(scaled))
