"""Decodes packets into frames with the codec's signals: motion vectors, intra blocks, damage."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

import av
from av.codec.context import Flags2
from av.error import FFmpegError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from codecsight.core.errors import CodecSightError
from codecsight.core.frame import Frame, FrameSignals, FrameType
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.references import ReferenceTracker
from codecsight.video.codec.side_data import motion_vectors, picture_orientation
from codecsight.video.codec.signals import MOTION_CODECS, rasterise_motion

TYPES: dict[int, FrameType] = {1: "I", 2: "P", 3: "B", 4: "P", 5: "I", 6: "P", 7: "B"}
DECODERS = {"av1": "libdav1d"}
TICK_S = 0.001
_UNKNOWN_ASPECT = Fraction(0)


class _PacketTag(NamedTuple):
    """Facts about a packet that travel through the decoder to its frame.

    `number` counts packets in decoding order. The packet's data is left out, because PyAV may
    keep this object after the decoder has discarded a damaged packet.
    """

    number: int
    size: int
    keyframe: bool
    capture_time: float


class Decoder:
    """Decodes the packets of one connection; damage is counted in `anomalies`, never raised.

    From an error or a loss until the next key frame, signals are marked invalid. Motion is
    extracted from as few frames as possible, at most `motion_interval_s()` seconds apart (0: from
    every frame). The constructor raises CodecSightError for an unknown codec.

    Frames say how a player shows them. A display matrix in the bitstream overrules the container's
    until the next key frame. A sample aspect ratio in it does so from where it changes.
    """

    def __init__(
        self, info: StreamInfo, motion_interval_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.anomalies: Counter[str] = Counter()
        self._info = info
        self._context = _open(info)
        self._motion_interval_s = motion_interval_s
        self._extracted_at, self._extract_next = 0.0, True
        self._references = ReferenceTracker(info)
        self._orientation = info.orientation
        self._sample_aspect = info.sample_aspect
        self._coded_aspect: Fraction | None = None  # the bitstream's, at the last key frame
        self._has_motion = info.codec in MOTION_CODECS
        self._packets = 0
        self._damaged_at: int | None = None
        self._time: float | None = None
        self._capture_time = 0.0

    @property
    def profile(self) -> str | None:
        """The codec's profile ("Main", "High"); None before the first picture is decoded."""
        return self._context.profile

    def decode(self, packet: Packet) -> list[Frame]:
        """Decode a packet; returns the completed frames in display order: none, one or several."""
        if not packet.data:
            self.anomalies["packets without data"] += 1
            return []
        self._packets += 1
        tag = _PacketTag(self._packets, len(packet.data), packet.keyframe, packet.capture_time)
        lost = self._references.feed(packet, tag.number)
        if lost or packet.corrupt:
            self._damage("packets lost", self._packets)
        return self._frames(_av_packet(packet, tag))

    def flush(self) -> list[Frame]:
        """Return the frames still buffered at the end of the stream."""
        frames = self._frames(None)
        self._context.flush_buffers()
        return frames

    def _frames(self, packet: "av.Packet[Stream] | None") -> list[Frame]:
        try:
            pictures = self._context.decode(packet)
        except FFmpegError:
            self._damage("decode errors", self._packets)
            return []
        return [frame for picture in pictures if (frame := self._frame(picture)) is not None]

    def _frame(self, picture: av.VideoFrame) -> Frame | None:
        tag = picture.opaque
        if not isinstance(tag, _PacketTag):
            tag = None
        for number in self._references.missing_before(tag.number) if tag else ():
            self._damage("frames not decoded", number)
        if picture.is_corrupt:
            self._damage("damaged frames", tag.number if tag else self._packets)
        elif tag is not None and tag.keyframe and tag.number > (self._damaged_at or 0):
            self._damaged_at = None
        self._read_geometry(picture)
        signals = self._signals(picture, tag)
        capture_time = self._capture_time if tag is None else tag.capture_time
        before, time = self._time, self._frame_time(picture, capture_time)
        self._capture_time = capture_time
        if time is None:
            self.anomalies["frames without a time"] += 1
            return None
        self._time = time
        self._plan_extraction(signals, time, 0.0 if before is None else time - before)
        return Frame(picture, time, capture_time, signals, self._sample_aspect)

    def _read_geometry(self, picture: av.VideoFrame) -> None:
        """Update the orientation and the sample aspect ratio from the bitstream."""
        new_sequence = picture.key_frame or self._coded_aspect is None
        # Looking for a matrix takes 8 us, so pictures without a rotation (cheap) are left out.
        if not (new_sequence or picture.rotation):
            return
        orientation = picture_orientation(picture)
        if orientation is not None or new_sequence:
            self._orientation = orientation or self._info.orientation
        if new_sequence:
            coded_aspect = self._context.sample_aspect_ratio or _UNKNOWN_ASPECT
            changed = self._coded_aspect is not None and coded_aspect != self._coded_aspect
            if changed or not self._info.sample_aspect:
                self._sample_aspect = coded_aspect
            self._coded_aspect = coded_aspect

    def _plan_extraction(self, signals: FrameSignals, time: float, step: float) -> None:
        """Decide whether to extract motion from the next frame, expected `step` seconds later.

        It is needed where the frame after the next one would exceed the interval.
        """
        if signals.motion is not None or time < self._extracted_at:
            self._extracted_at = time
        motion_interval_s = self._motion_interval_s()
        self._extract_next = (
            not motion_interval_s
            or time + 2 * step - self._extracted_at > motion_interval_s + TICK_S
        )

    def _signals(self, picture: av.VideoFrame, tag: _PacketTag | None) -> FrameSignals:
        kind = TYPES.get(int(picture.pict_type), "?")
        number, size = (tag.number, tag.size) if tag else (self._packets, 0)
        valid, moving = self._damaged_at is None, kind in ("P", "B") and self._has_motion
        if not (moving and self._extract_next):
            self._references.mark_displayed(kind, number)
            return FrameSignals(
                kind, size, valid=valid, extracted=not moving, orientation=self._orientation
            )
        distances = self._references.distances(kind, number)
        signals = FrameSignals(kind, size, valid=valid, orientation=self._orientation)
        with suppress(LookupError):
            vectors, width, height = motion_vectors(picture), picture.width, picture.height
            signals.motion, signals.intra = rasterise_motion(vectors, width, height, distances)
        return signals

    def _frame_time(self, picture: av.VideoFrame, capture_time: float) -> float | None:
        """The frame's time; without a timestamp, estimated from the wall clock."""
        base = self._info.time_base
        stamp = picture.pts if picture.pts is not None else picture.dts
        # Not `stamp * base`: that would reduce a fraction to its lowest terms for every frame.
        time = None if stamp is None else stamp * base.numerator / base.denominator
        if self._time is None:
            return time
        if time is None:
            return self._time + max(TICK_S, capture_time - self._capture_time)
        if time > self._time:
            return time
        self.anomalies["frames out of order"] += 1
        return self._time + TICK_S

    def _damage(self, anomaly: str, number: int) -> None:
        """Count an anomaly and mark signals invalid until a key frame after packet `number`."""
        self.anomalies[anomaly] += 1
        self._damaged_at = max(number, self._damaged_at or 0)


def decode_stream(
    items: Iterable[StreamInfo | Packet], motion_interval_s: Callable[[], float] = lambda: 0.0
) -> Iterator[Frame]:
    """Decode a source's `items` into frames, with a new decoder for each StreamInfo."""
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


def _av_packet(packet: Packet, tag: _PacketTag) -> "av.Packet[Stream]":
    copy = av.Packet(len(packet.data))  # allocates the padding that decoders read beyond the end
    copy.update(packet.data)
    copy.pts, copy.dts, copy.opaque = packet.pts, packet.dts, tag
    return copy
