"""Copying recorded video packets into another container, across changes of their parameters.

A container states a stream's codec parameters once. Where a camera's picture size or encoder
settings change, most codecs can carry the new parameters within the stream, before a key frame.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from codecsight.archive.footage.matroska import acm_track, file_with_track, is_acm
from codecsight.archive.footage.scan import VideoParameters, open_recording, video_parameters

_TO_ANNEX_B = {f"{codec}": f"{codec}_mp4toannexb" for codec in ("h264", "hevc", "vvc")}
"""Filters that give packets the form whose parameter sets may stand before any key frame; the
muxers convert it back to their own.
"""

_SETS_BEFORE_KEY_FRAMES = frozenset({*_TO_ANNEX_B, "mpeg1video", "mpeg2video", "mpeg4"})
_SELF_CONTAINED = frozenset({"av1", "mjpeg", "vp8", "vp9"})


class StreamCopy:
    """A stream of `container` that takes the packets of one or more recordings.

    Where `varying`, the recordings differ in their parameters (see `same_file`): each key frame is
    preceded by those that it needs. Raises ValueError if the container can't hold the codec.
    """

    def __init__(self, container: OutputContainer, source: VideoStream, varying: bool) -> None:
        self.stream = container.add_stream_from_template(source, opaque=True)
        self._codec = _codec(source)
        self._varying = varying
        self._filter(source, self.stream)

    def packets(
        self, source: VideoStream, packets: Iterator["Packet[VideoStream]"]
    ) -> Iterator["Packet[VideoStream]"]:
        """The packets of a recording, ready to be muxed except for their times."""
        stream_filter = self._filter(source, None)
        for packet in packets:
            for copied in stream_filter.filter(packet) if stream_filter else (packet,):
                copied.stream = self.stream
                yield copied

    def _filter(
        self, source: VideoStream, out: VideoStream | None
    ) -> av.BitStreamFilterContext | None:
        """The filter for a recording's packets; sets the parameters of `out` to its output's."""
        filters = [_TO_ANNEX_B[self._codec]] if self._codec in _TO_ANNEX_B else []
        if self._varying and self._codec in _SETS_BEFORE_KEY_FRAMES:
            filters.append("dump_extra")
        return av.BitStreamFilterContext(",".join(filters), source, out) if filters else None


def add_sound(container: OutputContainer, source: AudioStream) -> AudioStream:
    """Add a stream to `container` for recorded sound. Where `uses_acm`, a Matroska file needs
    ACM_OPTIONS, and `restore_name_in` when it is complete. Raises ValueError if the container can't
    hold the codec.
    """
    codec = source.codec_context
    if container.format.name != "matroska" or not is_acm(codec.name):
        return container.add_stream_from_template(source, opaque=True)
    channels = codec.layout.nb_channels
    bits = round((codec.bit_rate or 0) / codec.sample_rate / channels)
    track = acm_track(codec.name, codec.sample_rate, channels, bits)
    with av.open(io.BytesIO(file_with_track(track)), format="matroska") as header:
        return container.add_stream_from_template(header.streams.audio[0], opaque=True)


def uses_acm(path: Path) -> bool:
    """Whether the recording's sound has a codec that PyAV can't add to a Matroska file."""
    sound = sound_parameters(path)
    return sound is not None and is_acm(sound[0])


def same_file(first: Path, second: Path) -> bool:
    """Whether one file can hold the video and the sound of both recordings."""
    codec, *parameters = _parameters(first)
    other, *others = _parameters(second)
    carried = codec in _SETS_BEFORE_KEY_FRAMES | _SELF_CONTAINED
    sounds = {sound for sound in (sound_parameters(first), sound_parameters(second)) if sound}
    return codec == other and (carried or parameters == others) and len(sounds) < 2


def same_parameters(first: Path, second: Path) -> bool:
    """Whether both recordings have the same codec, picture size and codec parameters."""
    return _parameters(first) == _parameters(second)


def sound_parameters(path: Path) -> tuple[str, int, str, bytes | None] | None:
    """Codec, rate, layout and codec parameters of the audio track; None if there is none."""
    with open_recording(path) as container:
        if not container.streams.audio:
            return None
        codec = container.streams.audio[0].codec_context
        return codec.name, codec.sample_rate, codec.layout.name, codec.extradata


def fits_mp4(path: Path) -> bool:
    """Whether an MP4 file can hold the recording's codecs."""
    with open_recording(path) as source, av.open(_NullFile(), "w", format="mp4") as container:
        try:
            StreamCopy(container, source.streams.video[0], varying=False)
            for stream in source.streams.audio[:1]:
                add_sound(container, stream)
        except ValueError:
            return False
    return True


def _parameters(path: Path) -> VideoParameters:
    with open_recording(path) as container:
        return video_parameters(container)


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


class _NullFile:
    """A file object that discards what is written."""

    def write(self, data: bytes) -> int:
        return len(data)
