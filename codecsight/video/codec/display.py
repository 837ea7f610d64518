"""Reads how a picture is to be shown: display matrices of containers and bitstreams."""

import io
import struct

import av
from av.error import FFmpegError
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.stream import VideoStream

from codecsight.core.orientation import UPRIGHT, Orientation

_MATRIX = struct.Struct("=9i")
_TKHD_MATRIX = struct.Struct(">9i")
_TKHD_OFFSET = 44  # from the box's type to its matrix (ISO/IEC 14496-12, 8.3.2, version 0)


def container_orientation(stream: VideoStream) -> Orientation:
    """The orientation that the container declares for its video; UPRIGHT if it declares none.

    PyAV doesn't export the matrix of an input stream. So the header of a MOV file is written for
    the same stream, which holds the matrix as it is.
    """
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="mov", options={"movflags": "empty_moov"}) as container:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
            written = header.getvalue()
    except (FFmpegError, ValueError):  # a codec that MOV can't hold
        return UPRIGHT
    start = written.find(b"tkhd") + _TKHD_OFFSET
    if start < _TKHD_OFFSET or len(written) < start + _TKHD_MATRIX.size:
        return UPRIGHT
    return Orientation.from_matrix(_TKHD_MATRIX.unpack_from(written, start))


def picture_orientation(picture: av.VideoFrame) -> Orientation | None:
    """The orientation that the bitstream declares at this picture (the "display orientation" SEI
    message of H.264 and H.265, EXIF in JPEG); None if it declares none here.
    """
    # Not `picture.side_data`: see `_vectors` in decoder.py.
    side_data = SideDataContainer(picture).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if side_data is None:
        return None
    return Orientation.from_matrix(_MATRIX.unpack_from(memoryview(side_data)))
