"""Videos whose containers or bitstreams say how to show them."""

import io
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.packet import PacketSideData

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.codec.resizer import Resizer
from codecsight.video.recording.mux_stream import add_stream
from tests.video.scenes import Picture, encode, texture

CORNERS = np.repeat(texture(96, 128, 5)[..., :1], 3, axis=2)
"""A grey picture [96, 128, 3] that looks different however it is turned."""


def write_shown(
    path: Path, degrees: int = 0, hflip: bool = False, aspect: Fraction | None = None
) -> Path:
    """A video of CORNERS that the container turns counter-clockwise, and then mirrors."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.height, stream.width = CORNERS.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(degrees, hflip=hflip)
        if aspect is not None:
            stream.sample_aspect_ratio = aspect
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(CORNERS, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(frame: Frame) -> Picture:
    """The frame as the analysis sees it, at its own size."""
    return Resizer(*frame.shown_size).rgb(frame)


def frames_of(path: Path) -> list[Frame]:
    """All frames of a file."""
    return list(decode_stream(open_source(str(path)).items()))


def difference(a: Picture, b: Picture) -> float:
    """Mean absolute difference in grey levels; large for pictures of different shape."""
    if a.shape != b.shape:
        return 255.0
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def filtered(filter_name: str, pictures: Iterable[Picture]) -> tuple[StreamInfo, list[Packet]]:
    """The pictures as H.264, changed by one of FFmpeg's bitstream filters."""
    info, packets = encode(pictures, rate=10.0, gop=1000)
    with av.open(io.BytesIO(), "w", format="matroska") as container:
        stream = add_stream(container, info)
        changing = BitStreamFilterContext(filter_name, stream)
        changed = []
        for packet in packets:
            raw = av.Packet(packet.data)
            raw.stream, raw.time_base, raw.pts = stream, packet.time_base, packet.pts
            raw.is_keyframe = packet.keyframe
            changed += [replace(packet, data=bytes(each)) for each in changing.filter(raw)]
    return replace(info, extradata=b""), changed


def spliced(*streams: tuple[StreamInfo, list[Packet]]) -> list[StreamInfo | Packet]:
    """One connection that sends several streams, one after the other, with rising times."""
    items: list[StreamInfo | Packet] = [streams[0][0]]
    start = 0
    for _, packets in streams:
        items += [
            replace(each, pts=(each.pts or 0) + start, dts=(each.dts or 0) + start)
            for each in packets
        ]
        start += 9000 * len(packets)
    return items


def write_new_headers(path: Path) -> Path:
    """20 pictures of 320x240, then 20 of 160x240, with codec headers in the container alone.

    FLV and MOV announce the second ones in mid-stream.
    """
    first, second = (_headers_apart(width, 240) for width in (320, 160))
    with av.open(str(path), "w") as container:
        stream = add_stream(container, first[0])
        for index, packet in enumerate([*first[1], *second[1]]):
            if index == 20:
                headers = PacketSideData(1, len(second[0].extradata))  # type: ignore[call-arg]
                headers.update(second[0].extradata)
                headers.to_packet(packet)
            packet.pts = packet.dts = index * 100
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            container.mux(packet)
    return path


def _headers_apart(width: int, height: int) -> tuple[StreamInfo, "list[av.Packet[Any]]"]:
    """20 pictures as H.264 packets without parameter sets."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 10), Fraction(10)
    context.flags |= Flags.global_header
    context.options = {"tune": "zerolatency"}
    packets = []
    for index, x in enumerate(range(0, 80, 4)):
        frame = av.VideoFrame.from_ndarray(np.roll(texture(height, width, 1), x, 1), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 10)
        packets += context.encode(frame)
    info = StreamInfo("h264", context.extradata, width, height, 10.0, Fraction(1, 1000))
    return info, packets + context.encode(None)
