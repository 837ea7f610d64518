"""Reading recorded files packet by packet, also those that are unfinished or damaged at the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

VideoParameters = tuple[str, int, int, bytes | None]
_S = TypeVar("_S", bound=Stream)


def open_recording(path: Path) -> InputContainer:
    """Open a segment's file; any name will do, also one with a colon. Raises av.FFmpegError."""
    return av.open(f"file:{path}", "r", format="matroska")


def video_parameters(container: InputContainer) -> VideoParameters:
    """Codec, picture size and codec parameters of a recording's video."""
    codec = container.streams.video[0].codec_context
    return codec.codec.canonical_name, codec.width, codec.height, codec.extradata


def can_open(path: Path) -> bool:
    """Whether the file is a recording with video."""
    try:
        with open_recording(path) as container:
            return bool(container.streams.video)
    except av.FFmpegError:
        return False


def video_packets(container: InputContainer) -> Iterator["Packet[VideoStream]"]:
    """The video packets that have data and a timestamp, in file order.

    They end at the first that can't be read: a file that is being written, or that a power failure
    damaged, yields what it holds so far.
    """
    yield from _readable(container.demux(video=0))


def audio_packets(container: InputContainer) -> Iterator["Packet[AudioStream]"]:
    """As `video_packets`, of the first audio track; none if there is none."""
    if container.streams.audio:
        yield from _readable(container.demux(audio=0))


def _readable(packets: Iterator["Packet[_S]"]) -> Iterator["Packet[_S]"]:
    try:
        for packet in packets:
            if packet.size and packet.pts is not None:
                yield packet
    except (av.error.InvalidDataError, av.error.EOFError, av.error.PatchWelcomeError):
        return


def scan(path: Path) -> tuple[float, tuple[float, ...]] | None:
    """Seconds from the first packet to the end of the last, and to each key frame.

    None if the file has no packet. Raises av.FFmpegError if it can't be opened.
    """
    begin: float | None = None
    end, gops = 0.0, []
    with open_recording(path) as container:
        for packet in video_packets(container):
            time = float((packet.pts or 0) * packet.time_base)
            begin = time if begin is None else begin
            end = max(end, time - begin + float((packet.duration or 0) * packet.time_base))
            if packet.is_keyframe:
                gops.append(max(0.0, time - begin))
    return None if begin is None else (end, tuple(gops))
