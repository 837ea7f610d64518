"""Adds a stream for already encoded sound to a recording."""

import io
from dataclasses import dataclass

import av

from codecsight.archive.footage.matroska import (
    acm_track,
    audio_track,
    file_with_track,
    is_acm,
)
from codecsight.core.sound import AudioInfo

_CODEC_IDS = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "eac3": "A_EAC3",
    "flac": "A_FLAC",
    "mp2": "A_MPEG/L2",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "vorbis": "A_VORBIS",
}
_LITTLE_ENDIAN_G726 = "adpcm_g726le"


def can_record(info: AudioInfo) -> bool:
    """Whether a recording can hold the sound as it is."""
    return _stored(info) in _CODEC_IDS or uses_acm(info)


def describe_sound(info: AudioInfo) -> str:
    """An audio track for display, and whether it is recorded."""
    if can_record(info):
        return f"{info}; recorded if the camera's 'audio' is true in the site's file"
    return f"{info}; not recorded: set the camera to AAC, G.711 or Opus"


def uses_acm(info: AudioInfo) -> bool:
    """Whether the muxer must replace the codec's name (see archive.footage.matroska)."""
    return is_acm(_stored(info))


@dataclass(frozen=True, slots=True)
class SoundStream:
    """An audio stream of an output container."""

    stream: av.stream.Stream
    info: AudioInfo

    def stored(self, data: bytes) -> bytes:
        """The data of a packet as Matroska wants it."""
        little = self.info.codec == _LITTLE_ENDIAN_G726
        return _big_endian(data, self.info.bits) if little else data


def add_sound(container: av.container.OutputContainer, info: AudioInfo) -> SoundStream:
    """Add a stream to `container` for sound that `can_record` allows."""
    codec = _stored(info)
    if is_acm(codec):
        track = acm_track(codec, info.sample_rate, info.channels, info.bits)
    else:
        track = audio_track(_CODEC_IDS[codec], info.extradata, info.sample_rate, info.channels)
    with av.open(io.BytesIO(file_with_track(track)), format="matroska") as header:
        stream = container.add_stream_from_template(header.streams.audio[0], opaque=True)
    stream.time_base = info.time_base
    return SoundStream(stream, info)


def _stored(info: AudioInfo) -> str:
    return "adpcm_g726" if info.codec == _LITTLE_ENDIAN_G726 else info.codec


def _big_endian(data: bytes, bits: int) -> bytes:
    """G.726 codes packed from the highest bit of a byte on (ITU, files) instead of from the lowest
    (RFC 3551). The codes are the same.
    """
    packed, count = int.from_bytes(data, "little"), 8 * len(data) // bits
    turned = 0
    for index in range(count):
        turned = turned << bits | packed >> index * bits & (1 << bits) - 1
    return (turned << 8 * len(data) - count * bits).to_bytes(len(data), "big")
