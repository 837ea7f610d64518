"""Reads from containers how pictures are to be shown, and new codec headers in mid-stream."""

import io
import struct
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from codecsight.core.orientation import UPRIGHT, Orientation
from codecsight.core.packet import StreamInfo

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


def container_aspect(stream: VideoStream) -> Fraction:
    """The sample aspect ratio that the container declares, else the codec's; 0 if unknown."""
    return stream.sample_aspect_ratio or Fraction(0)


def changed_info(info: StreamInfo, packet: "av.Packet[VideoStream]") -> StreamInfo | None:
    """The new description of a stream from `packet` on, if it announces other codec headers (MP4
    with several sample descriptions, FLV); None if it doesn't. The picture's size and aspect ratio
    are those of the packet's picture; where it can't be decoded alone, the old ones are kept.
    """
    if not packet.has_sidedata("new_extradata"):
        return None
    extradata = bytes(packet.get_sidedata("new_extradata"))
    if not extradata or extradata == info.extradata:
        return None
    changed = replace(info, extradata=extradata)
    context = av.CodecContext.create(info.codec, "r")
    if not isinstance(context, VideoCodecContext):
        return changed
    context.extradata = extradata
    with suppress(FFmpegError):
        for picture in [*context.decode(packet), *context.decode(None)]:
            aspect = context.sample_aspect_ratio or Fraction(0)
            width, height = picture.width, picture.height
            return replace(changed, width=width, height=height, sample_aspect=aspect)
    return changed
