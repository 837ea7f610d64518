"""Which pictures others are predicted from, and how far away they are in display order."""

from collections import deque
from typing import NamedTuple

from codecsight.core.frame import FrameType
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.bitstream import H264HeaderParser, SliceHeader

PENDING = 32
SHOWN = 8


class _Fed(NamedTuple):
    """A packet in the decoder: its time, whether others refer to it (None: not known), and whether
    it holds a field.
    """

    pts: int | None
    reference: bool | None
    field: bool = False


class ReferenceDistances(NamedTuple):
    """How far a picture's vectors reach: its references are so many frames away on either side, and
    a line of its blocks is so many `lines` of the frame: two where each field is a picture.
    """

    past: float = 1.0
    future: float = 1.0
    lines: int = 1


_UNKNOWN = _Fed(None, None)


class _Shown(NamedTuple):
    """A reference that was shown: when it was decoded, its place in display order, its time."""

    number: int
    place: int
    pts: int | None


class ReferenceTracker:
    """Distances in frames from a picture to its nearest references on either side.

    Fed every packet in decoding order, then asked once for every picture in display order. A
    reference is decoded before the picture that refers to it. One in the past was shown, so its
    distance is counted; one in the future was not, so its distance comes from its time.

    Losses are noticed on the way: in H.264 by its numbering, in HEVC by pictures that the decoder
    swallowed because they referred to something lost. (Elsewhere a packet without a picture may
    be in order: a second field, or VP8's hidden references.)
    """

    def __init__(self, info: StreamInfo) -> None:
        self._headers = H264HeaderParser(info.extradata) if info.codec == "h264" else None
        self._one_each = info.codec == "hevc"
        self._last_number: int | None = None
        self._pending: dict[int, _Fed] = {}  # in decoding order
        self._shown: deque[_Shown] = deque(maxlen=SHOWN)
        self._place = 0

    def feed(self, packet: Packet, number: int) -> bool:
        """Take note of packet `number`; True where a reference picture before it was lost."""
        header = self._headers.parse_first_slice(packet.data) if self._headers else None
        if header is None:
            self._pending[number] = _Fed(packet.pts, None)
        else:
            self._pending[number] = _Fed(packet.pts, header.reference, header.field)
        while len(self._pending) > PENDING:
            del self._pending[next(iter(self._pending))]
        if header is None:
            return False
        lost = self._lost(header)
        if header.reference or lost:
            self._last_number = header.frame_num
        return lost

    def missing_before(self, number: int) -> list[int]:
        """The packets whose pictures should have been shown before the one fed as `number`."""
        fed = self._pending.get(number)
        if not self._one_each or fed is None or fed.pts is None:
            return []
        waiting = ((n, other.pts) for n, other in self._pending.items())
        missing = [n for n, pts in waiting if pts is not None and pts < fed.pts]
        for other in missing:
            del self._pending[other]
        return missing

    def distances(self, kind: FrameType, number: int) -> ReferenceDistances:
        """That of the picture fed as `number`, which is shown next."""
        fed, before = self._pending.get(number, _UNKNOWN), self._before(number)
        self.mark_displayed(kind, number)
        past = float(self._place - before.place) if before else 1.0
        future = self._future(fed.pts, number, before, past) if kind == "B" else 1.0
        return ReferenceDistances(past, future, 2 if fed.field else 1)

    def mark_displayed(self, kind: FrameType, number: int) -> None:
        """Take note of the same picture, where nobody asks for its reach."""
        self._place += 1
        fed = self._pending.pop(number, _UNKNOWN)
        if fed.reference if fed.reference is not None else kind in ("I", "P"):
            self._shown.append(_Shown(number, self._place, fed.pts))

    def _before(self, number: int) -> _Shown | None:
        """The last one shown of those decoded earlier."""
        for shown in reversed(self._shown):
            if shown.number < number:
                return shown
        return None

    def _future(self, pts: int | None, number: int, before: _Shown | None, past: float) -> float:
        if pts is None or before is None or before.pts is None or pts <= before.pts:
            return 1.0
        decoded = (fed.pts for other, fed in self._pending.items() if other < number)
        nearest = min(
            (other for other in decoded if other is not None and other > pts), default=None
        )
        return 1.0 if nearest is None else max(1.0, past * (nearest - pts) / (pts - before.pts))

    def _lost(self, header: SliceHeader) -> bool:
        """Whether numbers were left out (7.4.3, frame_num); an IDR picture starts from 0 again."""
        if header.idr or self._last_number is None or self._headers is None:
            return False
        following = (self._last_number + 1) % self._headers.modulus
        expected = header.frame_num in (self._last_number, following)
        return not expected and not self._headers.gaps_allowed
