"""Matroska's headers for tracks that PyAV can't create (RFC 9559: EBML, Segment, Tracks).

PyAV refuses some codecs that Matroska holds and FFmpeg writes: those with an ID of Microsoft's ACM
(G.711, G.726). Their track is created as STAND_IN, whose name is as long; in what is written, the
name is then replaced.
"""

import struct
from pathlib import Path

STAND_IN, ACM = b"A_TRUEHD", b"A_MS/ACM"
HEAD_BYTES = 1 << 16
"""The description of the tracks is within this much of a file's start."""

ACM_OPTIONS = {"write_crc32": "0"}
"""Options of the muxer: a checksum would be of the name that is replaced."""

# Microsoft's number of the codec, and the bits of a coded sample where they are fixed.
_ACM_CODECS = {"pcm_alaw": (0x06, 8), "pcm_mulaw": (0x07, 8), "adpcm_g726": (0x45, 0)}


def element(identifier: int, payload: bytes) -> bytes:
    """An EBML element with a size of eight bytes."""
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(payload)).to_bytes(8, "big") + payload


def uint(number: int) -> bytes:
    """The payload of an unsigned integer."""
    return number.to_bytes(8, "big")


def file_with_track(track: bytes) -> bytes:
    """A file that has one track, described by the elements `track`, and no packet."""
    tracks = element(0x1654AE6B, element(0xAE, track))
    cluster = element(0x1F43B675, element(0xE7, uint(0)))  # FFmpeg expects at least one cluster
    ebml = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return ebml + element(0x18538067, tracks + cluster)


def audio_track(codec_id: str, extradata: bytes, sample_rate: int, channels: int) -> bytes:
    """The elements of an audio track."""
    audio = element(0xB5, struct.pack(">d", sample_rate)) + element(0x9F, uint(channels))
    return (
        element(0xD7, uint(2))  # TrackNumber
        + element(0x73C5, uint(2))  # TrackUID
        + element(0x83, uint(2))  # TrackType: audio
        + element(0x86, codec_id.encode())
        + (element(0x63A2, extradata) if extradata else b"")  # CodecPrivate
        + element(0xE1, audio)
    )


def is_acm(codec: str) -> bool:
    """Whether FFmpeg's `codec` has its name from ACM."""
    return _name(codec) in _ACM_CODECS


def acm_track(codec: str, sample_rate: int, channels: int, bits: int) -> bytes:
    """The elements of a track of an ACM codec, under the name STAND_IN."""
    number, fixed = _ACM_CODECS[_name(codec)]
    bits = fixed or bits
    align, per_second = max(1, channels * bits // 8), sample_rate * channels * bits // 8
    wave_format = struct.pack("<HHIIHHH", number, channels, sample_rate, per_second, align, bits, 0)
    return audio_track(STAND_IN.decode(), wave_format, sample_rate, channels)


def restore_name(head: bytes) -> bytes:
    """The first bytes of a file, with the right name of an ACM codec."""
    return head.replace(STAND_IN, ACM, 1)


def restore_name_in(path: Path) -> None:
    """As `restore_name`, for a complete file."""
    with path.open("r+b") as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        file.write(restore_name(head))


def _name(codec: str) -> str:
    return {"g726": "adpcm_g726"}.get(codec, codec)
