"""Packets in, frames and what the codec says of them out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import Flags2
from av.error import FFmpegError
from av.sidedata.motionvectors import MotionVectors
from av.sidedata.sidedata import SideDataContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from codecsight.core.errors import CodecSightError
from codecsight.core.frame import Frame, FrameSignals, FrameType
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.references import ReferenceTracker
from codecsight.video.codec.signals import MOTION_CODECS, rasterise_motion

TYPES: dict[int, FrameType] = {1: "I", 2: "P", 3: "B", 4: "P", 5: "I", 6: "P", 7: "B"}
DECODERS = {"av1": "libdav1d"}
TICK_S = 0.001


class _Fed(NamedTuple):
    """What a frame must know of its packet, numbered in decoding order. It holds no data, for
    PyAV may keep it after the decoder has thrown a damaged packet away.
    """

    number: int
    size: int
    keyframe: bool
    capture_time: float


class Decoder:
    """Decodes one connection's packets; damage is counted in `anomalies`, never raised.

    From an error or a loss until the next key frame, signals are marked invalid. Motion is read of
    frames that are as far apart as may be, but at most `motion_interval_s()` seconds
    apart. Raises CodecSightError only where the codec itself is unknown.
    """

    def __init__(
        self, info: StreamInfo, motion_interval_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.anomalies: Counter[str] = Counter()
        self._info = info
        self._context = _open(info)
        self._motion_interval_s = motion_interval_s
        self._read_at, self._reading = 0.0, True
        self._references = ReferenceTracker(info)
        self._tells_motion = info.codec in MOTION_CODECS
        self._fed = 0
        self._damaged_at: int | None = None
        self._time: float | None = None
        self._captured = 0.0

    @property
    def profile(self) -> str | None:
        """The codec's profile ("Main", "High"), known once a picture was decoded."""
        return self._context.profile

    def decode(self, packet: Packet) -> list[Frame]:
        """The frames that this packet completes, in display order: none, one or more."""
        if not packet.data:
            self.anomalies["packets without data"] += 1
            return []
        self._fed += 1
        fed = _Fed(self._fed, len(packet.data), packet.keyframe, packet.capture_time)
        lost = self._references.feed(packet, fed.number)
        if lost or packet.corrupt:
            self._damage("packets lost", self._fed)
        return self._frames(_av_packet(packet, fed))

    def flush(self) -> list[Frame]:
        """The frames still held back at the end of the stream."""
        frames = self._frames(None)
        self._context.flush_buffers()
        return frames

    def _frames(self, packet: "av.Packet[Stream] | None") -> list[Frame]:
        try:
            pictures = self._context.decode(packet)
        except FFmpegError:
            self._damage("decode errors", self._fed)
            return []
        return [frame for picture in pictures if (frame := self._frame(picture)) is not None]

    def _frame(self, picture: av.VideoFrame) -> Frame | None:
        fed = picture.opaque
        if not isinstance(fed, _Fed):
            fed = None
        for number in self._references.missing_before(fed.number) if fed else ():
            self._damage("frames not decoded", number)
        if picture.is_corrupt:
            self._damage("damaged frames", fed.number if fed else self._fed)
        elif fed is not None and fed.keyframe and fed.number > (self._damaged_at or 0):
            self._damaged_at = None
        signals = self._signals(picture, fed)
        capture_time = self._captured if fed is None else fed.capture_time
        before, time = self._time, self._timed(picture, capture_time)
        self._captured = capture_time
        if time is None:
            self.anomalies["frames without a time"] += 1
            return None
        self._time = time
        self._plan(signals, time, 0.0 if before is None else time - before)
        return Frame(picture, time, capture_time, signals)

    def _plan(self, signals: FrameSignals, time: float, step: float) -> None:
        """Whether motion shall be read of the frame that comes next, perhaps a `step` later: where
        the one after it would be too late.
        """
        if signals.motion is not None or time < self._read_at:
            self._read_at = time
        motion_interval_s = self._motion_interval_s()
        self._reading = (
            not motion_interval_s or time + 2 * step - self._read_at > motion_interval_s + TICK_S
        )

    def _signals(self, picture: av.VideoFrame, fed: _Fed | None) -> FrameSignals:
        kind = TYPES.get(int(picture.pict_type), "?")
        number, size = (fed.number, fed.size) if fed else (self._fed, 0)
        valid, moving = self._damaged_at is None, kind in ("P", "B") and self._tells_motion
        if not (moving and self._reading):
            self._references.mark_displayed(kind, number)
            return FrameSignals(kind, size, valid=valid, extracted=not moving)
        distances = self._references.distances(kind, number)
        motion, intra = rasterise_motion(
            _vectors(picture), picture.width, picture.height, distances
        )
        return FrameSignals(kind, size, motion=motion, intra=intra, valid=valid)

    def _timed(self, picture: av.VideoFrame, capture_time: float) -> float | None:
        """The frame's time, or one guessed from the frame before and the clock on the wall."""
        base = self._info.time_base
        stamp = picture.pts if picture.pts is not None else picture.dts
        # Not `stamp * base`, which would bring a fraction to its lowest terms for every frame.
        time = None if stamp is None else stamp * base.numerator / base.denominator
        if self._time is None:
            return time
        if time is None:
            return self._time + max(TICK_S, capture_time - self._captured)
        if time > self._time:
            return time
        self.anomalies["frames out of order"] += 1
        return self._time + TICK_S

    def _damage(self, what: str, number: int) -> None:
        """Count it, and trust no signals until a key frame fed after packet `number`."""
        self.anomalies[what] += 1
        self._damaged_at = max(number, self._damaged_at or 0)


def decode_stream(
    items: Iterable[StreamInfo | Packet], motion_interval_s: Callable[[], float] = lambda: 0.0
) -> Iterator[Frame]:
    """The frames of a source's `items`, to the last one held back; a StreamInfo begins anew."""
    decoder: Decoder | None = None
    for item in items:
        if isinstance(item, StreamInfo):
            decoder = Decoder(item, motion_interval_s)
        elif decoder is not None:
            yield from decoder.decode(item)
    if decoder is not None:
        yield from decoder.flush()


def _open(info: StreamInfo) -> VideoCodecContext:
    try:
        context = av.CodecContext.create(DECODERS.get(info.codec, info.codec), "r")
    except (FFmpegError, ValueError):
        raise CodecSightError(f"no decoder for {info.codec!r} video on this machine") from None
    if not isinstance(context, VideoCodecContext):
        raise CodecSightError(f"{info.codec!r} is not a video codec")
    context.extradata = info.extradata or None
    context.width, context.height = info.width, info.height
    context.thread_count = 1
    context.flags2 |= Flags2.export_mvs
    context.copy_opaque = True
    return context


def _vectors(picture: av.VideoFrame) -> NDArray[np.int32] | None:
    """FFmpeg's records of motion (see rasterise_motion), if the picture has any."""
    # Not `picture.side_data`, which the picture refers to and which refers to it: pictures would
    # lie about until garbage is collected, and each be given memory of its own.
    for each in SideDataContainer(picture):  # type: ignore[call-arg]
        if isinstance(each, MotionVectors):
            return np.frombuffer(memoryview(each), np.int32)
    return None


def _av_packet(packet: Packet, fed: _Fed) -> "av.Packet[Stream]":
    copy = av.Packet(len(packet.data))  # with the padding that decoders read past the end
    copy.update(packet.data)
    copy.pts, copy.dts, copy.opaque = packet.pts, packet.dts, fed
    return copy
