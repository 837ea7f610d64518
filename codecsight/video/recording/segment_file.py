"""Writes the packets of one segment to a Matroska file, without transcoding."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av

from codecsight.archive.footage.matroska import ACM_OPTIONS, HEAD_BYTES, restore_name
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.video.recording.mux_stream import add_stream
from codecsight.video.recording.sound_stream import add_sound, uses_acm

# Small clusters that are flushed at once: a killed process loses the frames of the last cluster
# and nothing else. Timestamps are not shifted: _Timeline computes them, none negative.
_MUXER = {"cluster_time_limit": "0", "flush_packets": "1", "avoid_negative_ts": "disabled"}
# With sound, a picture waits for the sound of its time: at most so long (microseconds).
_MUXER["max_interleave_delta"] = "500000"

MIN_STEP_S = Fraction(1, 1000)
"""Least distance of two estimated timestamps: one tick of Matroska's clock."""


class SegmentFile:
    """A new file at `path` with the packets from `first` on; timestamps count from `first`.

    `start` and `end` are wall clock, `gops` the key frames in seconds after `start` (see
    `Segment`). Methods raise OSError if the disk fails; the packets written before stay readable.
    """

    def __init__(
        self,
        path: Path,
        info: StreamInfo,
        first: Packet,
        title: str,
        audio: AudioInfo | None = None,
    ) -> None:
        self.path = path
        self.start = first.capture_time
        self.end = first.capture_time
        self.gops: list[float] = []
        acm = audio is not None and uses_acm(audio)
        self._sink = _Sink(path, restores_name=acm)
        self._last_sound = -1
        self._timeline = _Timeline(first.capture_time)
        try:
            options = _MUXER | (ACM_OPTIONS if acm else {})
            self._container = av.open(self._sink, "w", format="matroska", options=options)
            self._container.metadata["title"] = title
            self._container.metadata["creation_time"] = _iso(self.start)
            self._stream = add_stream(self._container, info)
            self._sound = None if audio is None else add_sound(self._container, audio)
        except BaseException:
            self._sink.abandon()
            path.unlink()
            raise

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._sink.size

    def seconds(self, packet: Packet) -> float:
        """Stream time from the first packet to `packet`, which need not be written yet."""
        return self._timeline.seconds(packet)

    def write(self, packet: Packet) -> None:
        """Append a packet. After an error only `close` may be called."""
        muxed = av.Packet(len(packet.data))  # allocates the padding FFmpeg's readers need
        muxed.update(packet.data)
        muxed.stream = self._stream
        muxed.time_base = packet.time_base
        muxed.pts, muxed.dts = self._timeline.timestamps(packet)
        muxed.duration = packet.duration
        muxed.is_keyframe = packet.keyframe
        with self._sink.rollback_on_error():
            self._container.mux_one(muxed)
        if packet.keyframe:
            self.gops.append(max(0.0, packet.capture_time - self.start))
        length = float(packet.duration * packet.time_base)
        self.end = max(self.end, packet.capture_time + length)

    def write_audio(self, packet: AudioPacket) -> None:
        """Append a packet of sound; one from before the first picture is dropped."""
        start_s = self._timeline.stream_start_s
        if self._sound is None or start_s is None:
            return
        pts = packet.pts - round(start_s / packet.time_base)
        if pts <= self._last_sound:
            return
        muxed = av.Packet(self._sound.stored(packet.data))
        muxed.stream, muxed.time_base = self._sound.stream, packet.time_base
        muxed.pts = muxed.dts = self._last_sound = pts
        muxed.duration, muxed.is_keyframe = packet.duration, True
        with self._sink.rollback_on_error():
            self._container.mux_one(muxed)

    def close(self) -> None:
        """Write the index of key frames and close; the file is readable without the index too."""
        with self._sink.rollback_on_error():
            self._container.close()
        self._sink.abandon()


class _Sink:
    """Output file of the muxer: writes each piece completely or raises OSError.

    After `abandon` it discards all writes: a muxer that failed still writes its trailer when it
    is garbage-collected.
    """

    def __init__(self, path: Path, *, restores_name: bool = False) -> None:
        self._restores_name = restores_name
        self._file = path.open("xb", buffering=0)
        self.size = 0

    def write(self, data: bytes) -> int:
        if self._restores_name and not self._file.closed and self._file.tell() < HEAD_BYTES:
            data = restore_name(bytes(data))
        rest = memoryview(data)
        while rest and not self._file.closed:
            written = self._file.write(rest)
            if not written:
                raise OSError(errno.ENOSPC, "the disk accepted no data", str(self._file.name))
            rest = rest[written:]
        if not self._file.closed:
            self.size = max(self.size, self._file.tell())
        return len(data)

    @contextmanager
    def rollback_on_error(self) -> Iterator[None]:
        """On an exception, truncate the file to its size on entry and abandon it."""
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
    """Timestamps on the segment's clock, which starts at the segment's first packet.

    RTSP sends the first packets without timestamps. Until one has a timestamp, packets are placed
    by the wall clock; afterwards by the stream's timestamps. They often arrive in one burst, so
    each is placed at least its predecessor's duration after it: no two have the same time.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self._base: int | None = None
        self._time_base = Fraction(1, 90_000)
        self._next_pts = 0
        self._last_pts = 0
        self._last_dts = 0

    def timestamps(self, packet: Packet) -> tuple[int, int]:
        """(pts, dts) in ticks of the packet's time base: not negative, pts >= dts, and dts never
        falls.
        """
        self._time_base = packet.time_base
        stamps = [stamp for stamp in (packet.pts, packet.dts) if stamp is not None]
        if stamps and self._base is None:
            self._base = min(stamps) - max(self._elapsed(packet), self._next_pts)
        if not stamps or self._base is None:
            pts = self._estimate(packet)
        else:
            pts = stamps[0] - self._base
            if packet.dts is not None:
                self._last_dts = max(self._last_dts, min(packet.dts - self._base, pts))
        self._last_pts = max(pts, self._last_dts)
        self._next_pts = self._last_pts + max(packet.duration, round(MIN_STEP_S / packet.time_base))
        return self._last_pts, self._last_dts

    @property
    def stream_start_s(self) -> Fraction | None:
        """The segment's start on the stream's clock; None until a packet has a timestamp."""
        return None if self._base is None else self._base * self._time_base

    def seconds(self, packet: Packet) -> float:
        """Seconds from the segment's start to `packet`, without recording its timestamps."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or self._base is None:
            return packet.capture_time - self._start
        return float((stamp - self._base) * packet.time_base)

    def _elapsed(self, packet: Packet) -> int:
        return max(0, round((packet.capture_time - self._start) / packet.time_base))

    def _estimate(self, packet: Packet) -> int:
        if self._base is not None:
            return self._next_pts
        return max(self._elapsed(packet), self._next_pts)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
