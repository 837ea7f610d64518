"""Adds a stream for already encoded packets to an output container, from a StreamInfo alone.

PyAV muxes packets it did not encode either through a template stream of an opened container, or
through `add_mux_stream`, which does not accept extradata. So the StreamInfo is written as the
header of a Matroska file (RFC 9559: EBML, Segment, Tracks); opening it gives the template.
"""

import io

import av
from av.video.stream import VideoStream

from codecsight.archive.footage.matroska import element, file_with_track, uint
from codecsight.core.errors import CodecSightError
from codecsight.core.orientation import UPRIGHT
from codecsight.core.packet import StreamInfo

# Matroska's names for the codecs that cameras and files send (RFC 9559 and its codec registry).
_CODEC_IDS = {
    "av1": "V_AV1",
    "ffv1": "V_FFV1",
    "h264": "V_MPEG4/ISO/AVC",
    "hevc": "V_MPEGH/ISO/HEVC",
    "mjpeg": "V_MJPEG",
    "mpeg1video": "V_MPEG1",
    "mpeg2video": "V_MPEG2",
    "mpeg4": "V_MPEG4/ISO/ASP",
    "msmpeg4v3": "V_MPEG4/MS/V3",
    "prores": "V_PRORES",
    "theora": "V_THEORA",
    "vp8": "V_VP8",
    "vp9": "V_VP9",
    "vvc": "V_MPEGI/ISO/VVC",
}


class RecordingError(CodecSightError):
    """A codec that can't be recorded; the message names it."""


def add_stream(container: av.container.OutputContainer, info: StreamInfo) -> av.stream.Stream:
    """Add a stream to `container` for packets encoded as `info` describes, with its orientation.

    PyAV can't write the sample aspect ratio to Matroska: players read it from the packets. Raises
    RecordingError for a codec without a Matroska codec ID.
    """
    codec = _canonical(info.codec)
    if not info.extradata and codec != "mjpeg":
        # RTSP without sprop: the muxer reads the parameter sets of the first key frame instead.
        stream = container.add_mux_stream(codec, width=info.width, height=info.height)
    else:
        with av.open(io.BytesIO(_matroska_header(codec, info)), format="matroska") as header:
            template: VideoStream = header.streams.video[0]
            stream = container.add_stream_from_template(template, opaque=True)
    stream.time_base = info.time_base
    if info.orientation != UPRIGHT and isinstance(stream, VideoStream):
        stream.set_display_matrix(info.orientation.matrix)
    return stream


def _canonical(codec: str) -> str:
    try:
        name = av.codec.Codec(codec, "r").canonical_name
    except ValueError:
        name = codec
    if name not in _CODEC_IDS:
        raise RecordingError(
            f"cannot record codec {codec!r}: set the camera to H.264, H.265, AV1 or MJPEG"
        )
    return name


def _matroska_header(codec: str, info: StreamInfo) -> bytes:
    size = element(0xB0, uint(info.width)) + element(0xBA, uint(info.height))
    return file_with_track(
        element(0xD7, uint(1))  # TrackNumber
        + element(0x73C5, uint(1))  # TrackUID
        + element(0x83, uint(1))  # TrackType: video
        + element(0x86, _CODEC_IDS[codec].encode())
        + (element(0x63A2, info.extradata) if info.extradata else b"")  # CodecPrivate
        + element(0xE0, size)
    )
