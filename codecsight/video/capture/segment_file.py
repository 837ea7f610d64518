"""One segment on its way to the disk: packets into Matroska, nothing transcoded."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import av

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.mux_stream import add_stream

# A cluster for each small group of frames, given to the system at once: a killed process loses
# the frames of the last such group and nothing else.
_MUXER = {"cluster_time_limit": "0", "flush_packets": "1", "avoid_negative_ts": "disabled"}


class SegmentFile:
    """Packets from `first` on, in a new file at `path`, with times counted from `first`.

    `start` and `end` are wall clock, `gops` seconds after `start` (see `Segment`). OSError means
    that the disk refused; the file then holds every packet that was written before, readable.
    """

    def __init__(self, path: Path, info: StreamInfo, first: Packet, title: str) -> None:
        self.path = path
        self.start = first.capture_time
        self.end = first.capture_time
        self.gops: list[float] = []
        self._sink = _Sink(path)
        self._place = _Timeline(first.capture_time)
        try:
            self._container = av.open(self._sink, "w", format="matroska", options=_MUXER)
            self._container.metadata["title"] = title
            self._container.metadata["creation_time"] = _iso(self.start)
            self._stream = add_stream(self._container, info)
        except BaseException:
            self._sink.abandon()
            path.unlink()
            raise

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._sink.size

    def seconds(self, packet: Packet) -> float:
        """Stream time from the first packet to `packet`, which may yet have to be written."""
        return self._place.seconds(packet)

    def write(self, packet: Packet) -> None:
        """Add a packet. After an error only `close` is allowed."""
        muxed = av.Packet(len(packet.data))  # with the padding FFmpeg's readers need
        muxed.update(packet.data)
        muxed.stream = self._stream
        muxed.time_base = packet.time_base
        muxed.pts, muxed.dts = self._place(packet)
        muxed.duration = packet.duration
        muxed.is_keyframe = packet.keyframe
        with self._sink.whole_or_nothing():
            self._container.mux_one(muxed)
        if packet.keyframe:
            self.gops.append(max(0.0, packet.capture_time - self.start))
        length = float(packet.duration * packet.time_base)
        self.end = max(self.end, packet.capture_time + length)

    def close(self) -> None:
        """Write the index of key frames and close; without it the file is as readable."""
        with self._sink.whole_or_nothing():
            self._container.close()
        self._sink.abandon()


class _Sink:
    """A file that takes a piece whole or raises OSError; abandoned, it swallows what still comes
    (a muxer that failed writes its trailer when it is collected).
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self.size = 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest and not self._file.closed:
            written = self._file.write(rest)
            if not written:
                raise OSError(errno.ENOSPC, "the disk took nothing", str(self._file.name))
            rest = rest[written:]
        if not self._file.closed:
            self.size = max(self.size, self._file.tell())
        return len(data)

    @contextmanager
    def whole_or_nothing(self) -> Iterator[None]:
        """Cut the file back to where it was if what is done under it fails."""
        size = self.size
        try:
            yield
        except BaseException:
            self.abandon(size)
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0 if self._file.closed else self._file.seek(offset, whence)

    def tell(self) -> int:
        return self.size if self._file.closed else self._file.tell()

    def abandon(self, size: int | None = None) -> None:
        if self._file.closed:
            return
        if size is not None:
            self._file.truncate(size)
            self.size = size
        self._file.close()


class _Timeline:
    """Where packets stand on a segment's own clock, which begins with its first packet.

    RTSP sends the first packets without time stamps. Until one has some, time is what the wall
    clock says has passed; afterwards what the stream says.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self._base: int | None = None
        self._last = 0
        self._decode = 0

    def __call__(self, packet: Packet) -> tuple[int, int]:
        """Ticks of the packet's time base for its pts and dts, neither negative, pts >= dts,
        dts never falling.
        """
        stamps = [stamp for stamp in (packet.pts, packet.dts) if stamp is not None]
        if stamps and self._base is None:
            self._base = min(stamps) - self._elapsed(packet)
        if not stamps or self._base is None:
            shown = self._guess(packet)
        else:
            shown = stamps[0] - self._base
            if packet.dts is not None:
                self._decode = max(self._decode, min(packet.dts - self._base, shown))
        self._last = max(shown, self._decode)
        return self._last, self._decode

    def seconds(self, packet: Packet) -> float:
        """Seconds from the start to `packet`, which need not have been placed."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or self._base is None:
            return packet.capture_time - self._start
        return float((stamp - self._base) * packet.time_base)

    def _elapsed(self, packet: Packet) -> int:
        return max(0, round((packet.capture_time - self._start) / packet.time_base))

    def _guess(self, packet: Packet) -> int:
        if self._base is None:
            return self._elapsed(packet)
        return self._last + max(1, packet.duration)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
