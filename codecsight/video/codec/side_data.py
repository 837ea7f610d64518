"""Side data of a decoded picture: motion vectors and display matrix."""

import struct

import av
import numpy as np
from av.sidedata.motionvectors import MotionVectors
from av.sidedata.sidedata import SideData, SideDataContainer, Type
from numpy.typing import NDArray

from codecsight.core.orientation import Orientation

_MATRIX = struct.Struct("=9i")


def motion_vectors(picture: av.VideoFrame) -> NDArray[np.int32] | None:
    """FFmpeg's motion vector records (see `rasterise_motion`), or None if there are none.

    Raises LookupError if that can't be known.
    """
    items, complete = _side_data(picture)
    for item in items:
        if isinstance(item, MotionVectors):
            return np.frombuffer(memoryview(item), np.int32)
    if not complete:
        raise LookupError("the picture has side data of a kind that PyAV doesn't know")
    return None


def picture_orientation(picture: av.VideoFrame) -> Orientation | None:
    """The orientation that the bitstream declares at this picture (the "display orientation" SEI
    message of H.264 and H.265, EXIF in JPEG); None if it declares none here.
    """
    for item in _side_data(picture)[0]:
        if item.type == Type.DISPLAYMATRIX:
            return Orientation.from_matrix(_MATRIX.unpack_from(memoryview(item)))
    return None


def _side_data(picture: av.VideoFrame) -> tuple[list[SideData], bool]:
    """The picture's side data, and whether that is all of it.

    PyAV's container fails at the first kind that PyAV doesn't know (EXIF, LCEVC); then it holds
    what comes before. It is created here because `picture.side_data` makes a reference cycle with
    the picture, which would keep each picture's memory until the next garbage collection.
    """
    container = SideDataContainer.__new__(SideDataContainer)
    try:
        SideDataContainer.__init__(container, picture)  # type: ignore[call-arg]
    except ValueError:
        return list(container)[:-1], False
    return list(container), True
