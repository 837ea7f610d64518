"""The audio track of a connection: its description, and its packets on the stream's clock."""

import struct
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.video.capture.timing.clock import StreamClock

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LOW_COMPLEXITY = 2
_OPUS_PRE_SKIP = 312


class SoundTrack:
    """The first audio track of a container. Packets before the first picture are dropped."""

    def __init__(self, stream: AudioStream) -> None:
        self.stream = stream
        self.info = _describe(stream)
        self._clock: StreamClock | None = None

    @classmethod
    def of(cls, container: InputContainer) -> "SoundTrack | None":
        """The track; None if there is none that is known."""
        for stream in container.streams.audio:
            if stream.codec_context is not None and stream.codec_context.sample_rate:
                return cls(stream)
        return None

    def start(self, clock: StreamClock, *, recording: bool, spliced: bool) -> None:
        """Time the track's packets by `clock`, that of the video."""
        self._clock = clock.follower()
        self._clock.start_connection(
            self.info.time_base, False, recording=recording, spliced=spliced
        )

    def packet(self, packet: "Packet[Stream]") -> AudioPacket | None:
        """A packet on the stream's clock; None if it has no time."""
        if self._clock is None or not packet.size:
            return None
        stamp = packet.pts if packet.pts is not None else packet.dts
        _, pts = self._clock.rebase(stamp, stamp, packet.duration or 0)
        if pts is None:
            return None
        data = bytes(packet)
        if self.info.codec == "aac":
            data = _without_adts(data)
        return AudioPacket(data, pts, packet.duration or 0, self.info.time_base)


def _describe(stream: AudioStream) -> AudioInfo:
    codec = stream.codec_context
    rate, name = codec.sample_rate, codec.codec.canonical_name
    bits = round((codec.bit_rate or 0) / rate / max(1, codec.channels)) if "g726" in name else 0
    return AudioInfo(
        codec=name,
        extradata=codec.extradata or _missing_extradata(name, rate, codec.channels),
        sample_rate=rate,
        channels=codec.channels,
        bits=bits or (4 if "g726" in name else 0),
        time_base=stream.time_base or Fraction(1, rate),
    )


def _missing_extradata(codec: str, rate: int, channels: int) -> bytes:
    """Parameters that MPEG-TS and RTSP leave out, as a container wants them."""
    if codec == "aac" and rate in _AAC_RATES:
        config = _AAC_LOW_COMPLEXITY << 11 | _AAC_RATES.index(rate) << 7 | channels << 3
        return config.to_bytes(2, "big")
    if codec == "opus":
        return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, _OPUS_PRE_SKIP, 48_000, 0, 0)
    return b""


def _without_adts(data: bytes) -> bytes:
    """An AAC frame without the header that it has in MPEG-TS."""
    if len(data) > 9 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7 if data[1] & 1 else 9 :]
    return data
