"""Tracks reference pictures and their distances in display order; detects lost ones."""

from collections import deque
from typing import NamedTuple

from codecsight.core.frame import FrameType
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.bitstream import H264HeaderParser, SliceHeader

MAX_PENDING = 32
MAX_DISPLAYED = 8


class _Pending(NamedTuple):
    """A packet in the decoder. `reference` is None where the bitstream doesn't show it."""

    pts: int | None
    reference: bool | None
    field: bool = False


class ReferenceDistances(NamedTuple):
    """Display distances, in frames, from a picture to its references on either side.

    `lines` is the number of frame lines per line of a block: 2 where each field is a picture.
    """

    past: float = 1.0
    future: float = 1.0
    lines: int = 1


_UNKNOWN = _Pending(None, None)


class _Displayed(NamedTuple):
    """A displayed reference: its packet's number in decoding order, display position and pts."""

    number: int
    position: int
    pts: int | None


class ReferenceTracker:
    """Computes the distances from each picture to its nearest references on either side.

    `feed` takes every packet in decoding order; then `distances` or `mark_displayed` is called
    once for each picture in display order. A reference is decoded before the pictures that refer
    to it. A past reference was displayed already, so its distance is counted in frames; a future
    one was not, so its distance is derived from its pts.

    Losses are detected on the way: in H.264 by gaps in frame_num, in HEVC by packets without a
    picture, because the decoder drops pictures whose references are missing. (In other codecs a
    packet without a picture may be normal: a second field, or a hidden reference of VP8.)
    """

    def __init__(self, info: StreamInfo) -> None:
        self._headers = H264HeaderParser(info.extradata) if info.codec == "h264" else None
        self._picture_per_packet = info.codec == "hevc"
        self._last_frame_num: int | None = None
        self._pending: dict[int, _Pending] = {}  # in decoding order
        self._displayed: deque[_Displayed] = deque(maxlen=MAX_DISPLAYED)
        self._position = 0

    def feed(self, packet: Packet, number: int) -> bool:
        """Register packet `number`; returns whether a reference picture before it was lost."""
        header = self._headers.parse_first_slice(packet.data) if self._headers else None
        if header is None:
            self._pending[number] = _Pending(packet.pts, None)
        else:
            self._pending[number] = _Pending(packet.pts, header.reference, header.field)
        while len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        if header is None:
            return False
        lost = self._lost_before(header)
        if header.reference or lost:
            self._last_frame_num = header.frame_num
        return lost

    def missing_before(self, number: int) -> list[int]:
        """Remove and return the packets whose pictures were due before that of packet `number`."""
        packet = self._pending.get(number)
        if not self._picture_per_packet or packet is None or packet.pts is None:
            return []
        pending = ((n, other.pts) for n, other in self._pending.items())
        missing = [n for n, pts in pending if pts is not None and pts < packet.pts]
        for other in missing:
            del self._pending[other]
        return missing

    def distances(self, kind: FrameType, number: int) -> ReferenceDistances:
        """Mark the picture of packet `number` as displayed next and return its distances."""
        packet, before = self._pending.get(number, _UNKNOWN), self._past_reference(number)
        self.mark_displayed(kind, number)
        past = float(self._position - before.position) if before else 1.0
        future = self._future_distance(packet.pts, number, before, past) if kind == "B" else 1.0
        return ReferenceDistances(past, future, 2 if packet.field else 1)

    def mark_displayed(self, kind: FrameType, number: int) -> None:
        """Mark the picture of packet `number` as displayed next."""
        self._position += 1
        packet = self._pending.pop(number, _UNKNOWN)
        if packet.reference if packet.reference is not None else kind in ("I", "P"):
            self._displayed.append(_Displayed(number, self._position, packet.pts))

    def _past_reference(self, number: int) -> _Displayed | None:
        """The last displayed reference among those decoded before packet `number`."""
        for displayed in reversed(self._displayed):
            if displayed.number < number:
                return displayed
        return None

    def _future_distance(
        self, pts: int | None, number: int, before: _Displayed | None, past: float
    ) -> float:
        """Distance to the nearest later picture decoded earlier, scaled by pts from `past`."""
        if pts is None or before is None or before.pts is None or pts <= before.pts:
            return 1.0
        decoded = (packet.pts for other, packet in self._pending.items() if other < number)
        nearest = min(
            (other for other in decoded if other is not None and other > pts), default=None
        )
        return 1.0 if nearest is None else max(1.0, past * (nearest - pts) / (pts - before.pts))

    def _lost_before(self, header: SliceHeader) -> bool:
        """Whether frame_num skips values (7.4.3); an IDR picture restarts it at 0."""
        if header.idr or self._last_frame_num is None or self._headers is None:
            return False
        following = (self._last_frame_num + 1) % self._headers.modulus
        expected = header.frame_num in (self._last_frame_num, following)
        return not expected and not self._headers.gaps_allowed
