"""Which pictures others are predicted from, and how far away they are in display order."""

from collections import OrderedDict

from codecsight.video.frame import FrameType
from codecsight.video.h264 import Headers, SliceHeader
from codecsight.video.packet import Packet, StreamInfo

KEPT = 32


class References:
    """Distances in frames from a picture to its nearest references on either side.

    Fed every packet in decoding order, then asked once for every picture in display order. The
    past is counted: every picture shown since the last reference. The future reference was
    decoded before the picture but is shown later, so its distance comes from its time.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._headers = Headers(info.extradata) if info.codec == "h264" else None
        self._last_number: int | None = None
        self._pending: OrderedDict[int, tuple[int | None, bool | None]] = OrderedDict()
        self._since_reference = 1
        self._reference_pts: int | None = None

    def feed(self, packet: Packet, number: int) -> bool:
        """Take note of packet `number`; True where a reference picture before it was lost."""
        header = self._headers.first_slice(packet.data) if self._headers else None
        self._pending[number] = packet.pts, None if header is None else header.reference
        while len(self._pending) > KEPT:
            self._pending.popitem(last=False)
        if header is None:
            return False
        lost = self._lost(header)
        if header.reference or lost:
            self._last_number = header.frame_num
        return lost

    def _lost(self, header: SliceHeader) -> bool:
        """Whether numbers were left out (7.4.3, frame_num); an IDR picture starts from 0 again."""
        if header.idr or self._last_number is None or self._headers is None:
            return False
        following = (self._last_number + 1) % self._headers.modulus
        expected = header.frame_num in (self._last_number, following)
        return not expected and not self._headers.gaps_allowed

    def distances(self, kind: FrameType, number: int) -> tuple[float, float]:
        """(past, future) of the picture fed as `number`, which is shown next."""
        pts, reference = self._pending.pop(number, (None, None))
        past = float(self._since_reference)
        future = self._future(pts, number, past) if kind == "B" else 1.0
        if reference if reference is not None else kind in ("I", "P"):
            self._since_reference, self._reference_pts = 1, pts
        else:
            self._since_reference += 1
        return past, future

    def _future(self, pts: int | None, number: int, past: float) -> float:
        if pts is None or self._reference_pts is None or pts <= self._reference_pts:
            return 1.0
        later = [
            other
            for fed, (other, reference) in self._pending.items()
            if fed < number and other is not None and other > pts and reference is not False
        ]
        if not later:
            return 1.0
        return max(1.0, past * (min(later) - pts) / (pts - self._reference_pts))
