"""Times for formats that have none, or wrong ones: from the frame rate and the order of display.

Raw H.264 and H.265 streams hold no times, and AVI files number pictures in decoding order, which
is not the order of display with B-frames. As in FFmpeg, the n-th picture is shown after n / rate
seconds. Only a decoder knows the order, so with B-frames the pictures are decoded once for it.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

RAW_FORMATS = frozenset({"h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "cavsvideo"})
CODECS_UNORDERED_IN_AVI = frozenset({"h264", "hevc", "vvc"})
DEFAULT_RATE = Fraction(25)
DELAY = 4  # pictures from decoding to display, as few as most encoders keep to
MAX_WAITING = 32

Stamps = tuple[int | None, int | None]


@dataclass(slots=True)
class _Waiting:
    packet: "av.Packet[VideoStream]"
    number: int
    shown: int | None = None


class FrameTimes:
    """Gives each packet of a recording its (pts, dts), in ticks of the stream's time base."""

    def __init__(self, stream: VideoStream) -> None:
        self.rate = stream.guessed_rate or DEFAULT_RATE
        self.step = max(1, round(1 / (self.rate * (stream.time_base or Fraction(1, 90_000)))))
        codec = stream.codec_context
        self._decoder = _order_decoder(codec) if codec.has_b_frames else None
        self._waiting: deque[_Waiting] = deque()
        self._shown = self._decoded = 0

    @staticmethod
    def needed(container: InputContainer, stream: VideoStream) -> bool:
        """Whether the times of this container can't be used."""
        if container.format.name in RAW_FORMATS:
            return True
        codec = stream.codec_context
        unordered = codec.name in CODECS_UNORDERED_IN_AVI and bool(codec.has_b_frames)
        return container.format.name == "avi" and unordered

    def add(
        self, packet: "av.Packet[VideoStream]"
    ) -> Iterator[tuple["av.Packet[VideoStream]", Stamps]]:
        """Yield this packet or earlier ones, as soon as their times are known."""
        self._waiting.append(_Waiting(packet, self._decoded))
        self._decoded += 1
        if self._decoder is None:
            self._waiting[-1].shown = self._waiting[-1].number
        else:
            copy: av.Packet[Stream] = av.Packet(bytes(packet))
            copy.opaque = self._waiting[-1].number
            self._read_order(copy)
        yield from self._ready(MAX_WAITING)

    def flush(self) -> Iterator[tuple["av.Packet[VideoStream]", Stamps]]:
        """Yield the packets that are left. One that shows no picture has no pts."""
        self._read_order(None)
        yield from self._ready(0)

    def _read_order(self, packet: "av.Packet[Stream] | None") -> None:
        if self._decoder is None:
            return
        with suppress(FFmpegError):  # a damaged picture; the pipeline's decoder counts it
            for picture in self._decoder.decode(packet):
                shown = next((w for w in self._waiting if w.number == picture.opaque), None)
                if shown is not None:
                    shown.shown = self._shown
                self._shown += 1

    def _ready(self, limit: int) -> Iterator[tuple["av.Packet[VideoStream]", Stamps]]:
        while self._waiting and (self._waiting[0].shown is not None or len(self._waiting) > limit):
            first = self._waiting.popleft()
            delay = DELAY if self._decoder else 0
            pts = None if first.shown is None else first.shown * self.step
            dts = (first.number - delay) * self.step
            yield first.packet, (pts, dts if pts is None else min(pts, dts))


def _order_decoder(codec: VideoCodecContext) -> VideoCodecContext:
    decoder = av.CodecContext.create(codec.name, "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101
    decoder.extradata = codec.extradata
    decoder.thread_count = 1
    decoder.copy_opaque = True
    return decoder
