"""Recording comes first: every packet of a stream into segments on the edge's own disk."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import structlog

from codecsight.archive.segment import Segment
from codecsight.archive.spool import Spool
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.mux_stream import RecordingError
from codecsight.video.capture.recovery import recover
from codecsight.video.capture.segment_file import SegmentFile

log = structlog.get_logger()

_T = TypeVar("_T")

MAX_SEGMENT_S = 900.0
MAX_SEGMENT_BYTES = 1 << 30
NO_KEYFRAME_WARNING_S = 30.0
RETRY_S = 5.0


@dataclass(slots=True)
class RecorderStats:
    """What was recorded and what was not. `error` (of recording) and `spool_error` (of finished
    recordings that wait in the spool) are empty while all is well, otherwise what a person should
    know; the counts say what it has cost.

    `before_keyframe`: packets of a connection before its first key frame, `empty_packets`:
    without data, `lost_packets`: not recorded because the disk or the muxer refused.
    `mid_gop_segments`: segments begun inside a GOP because it outgrew the cap.
    `recovered` (they are
    among `segments` too) and `unreadable`: files that a killed process or a full disk left.
    `discarded_segments`: segments deleted, before they were uploaded, to keep the spool's limit.
    """

    packets: int = 0
    segments: int = 0
    segment_bytes: int = 0
    before_keyframe: int = 0
    empty_packets: int = 0
    lost_packets: int = 0
    mid_gop_segments: int = 0
    recovered: int = 0
    unreadable: int = 0
    discarded_segments: int = 0
    discarded_bytes: int = 0
    error: str = ""
    spool_error: str = ""


class Recorder:
    """Records one stream into SPOOL/STREAM (see `Spool`), never transcoding, never raising over
    what the camera or the disk does.

    A segment begins at a key frame and ends at the first one `segment_s` seconds later, or where
    the connection ends. GOPs may be minutes long (smart codecs): only one that makes a segment
    longer than `max_segment_s` seconds or `max_segment_bytes` bytes is cut inside, and the next
    segment goes on with it. When the disk refuses, what is written stays, recording pauses, the
    packets are
    counted as lost, and it is tried again every `retry_s` seconds. Whenever a segment is finished
    and the folder holds more than `limit_bytes`, the oldest segments are deleted.

    Raises ArchiveError at the start if the folder cannot be used or another process records there.
    """

    def __init__(
        self,
        spool: Path,
        stream: str,
        segment_s: float,
        *,
        limit_bytes: int | None = None,
        max_segment_s: float = MAX_SEGMENT_S,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        retry_s: float = RETRY_S,
    ) -> None:
        self.stats = RecorderStats()
        self._spool = Spool(spool, stream, limit_bytes)
        self._segment_s = segment_s
        self._max_segment_s = max(max_segment_s, segment_s)
        self._max_segment_bytes = max_segment_bytes
        self._retry_s = retry_s
        self._info: StreamInfo | None = None
        self._segment: SegmentFile | None = None
        self._inside_gop = False
        self._no_keyframe_since: float | None = None
        self._retry_at = 0.0
        self._waiting: list[Path] = []
        # Syncing and hashing a finished segment can take seconds; packets don't wait for it.
        self._finisher = ThreadPoolExecutor(1, "recorder")
        for path in self._spool.unfinished():
            self._later(self._recover, path)

    def write(self, item: StreamInfo | Packet) -> None:
        """Take what a source gives, in its order."""
        if isinstance(item, StreamInfo):
            self.disconnected()
            self._info = item
        elif not item.data:
            self.stats.empty_packets += 1
        else:
            self._record(item)

    def disconnected(self) -> None:
        """The camera is gone, perhaps for long: finish the segment, so that it can be archived."""
        self._end_segment()
        self._inside_gop = False
        self._no_keyframe_since = None

    def close(self) -> None:
        """Finish the last segment, on disk with its row when this returns."""
        self._end_segment()
        self._finisher.shutdown(wait=True)
        self._spool.release()

    def _record(self, packet: Packet) -> None:
        if self._segment and self._is_full(self._segment, packet):
            self._end_segment()
            self._inside_gop = not packet.keyframe
        if self._segment is None:
            self._begin_segment(packet)
        if self._segment is None:
            return
        try:
            self._segment.write(packet)
            self.stats.packets += 1
        except (OSError, ValueError, av.FFmpegError) as error:
            self._pause(error)

    def _is_full(self, segment: SegmentFile, packet: Packet) -> bool:
        seconds = segment.seconds(packet)
        if packet.keyframe and seconds >= self._segment_s:
            return True
        return seconds >= self._max_segment_s or segment.size >= self._max_segment_bytes

    def _begin_segment(self, packet: Packet) -> None:
        if self._info is None or not (packet.keyframe or self._inside_gop):
            self._miss(packet)
            return
        if time.monotonic() < self._retry_at:
            self.stats.lost_packets += 1
            return
        try:
            path = self._spool.new_part(packet.capture_time)
            self._segment = SegmentFile(path, self._info, packet, self._spool.stream)
        except (OSError, ValueError, RecordingError, av.FFmpegError) as error:
            self._pause(error)
            return
        self.stats.mid_gop_segments += not packet.keyframe
        self.stats.error = ""
        self._retry_at = 0.0
        self._no_keyframe_since = None

    def _miss(self, packet: Packet) -> None:
        """Count a packet that no segment can begin with; say so when that goes on and on."""
        if self._retry_at:
            self.stats.lost_packets += 1
            return
        self.stats.before_keyframe += 1
        self._no_keyframe_since = self._no_keyframe_since or packet.capture_time
        if (
            packet.capture_time - self._no_keyframe_since > NO_KEYFRAME_WARNING_S
            and not self.stats.error
        ):
            self._report(
                f"no key frame for {NO_KEYFRAME_WARNING_S:.0f} s, so nothing can be recorded yet: "
                "set a shorter key-frame interval in the camera"
            )

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.close()
        except (OSError, av.FFmpegError) as error:
            self._report(f"{segment.path.name} ended early: {error}")
            self._later(self._recover, segment.path)
        else:
            self._later(self._finish, segment)

    def _pause(self, error: Exception) -> None:
        """Keep what is written, lose packets and say so, and try again in a while."""
        self.stats.lost_packets += 1
        self._inside_gop = False
        self._retry_at = time.monotonic() + self._retry_s
        self._report(f"recording paused: {error}; free some disk space or lower the spool limit")
        segment, self._segment = self._segment, None
        if segment:
            self._later(self._recover, segment.path)

    def _make_room(self) -> None:
        gone = self._spool.discard_oldest()
        if gone:
            self.stats.discarded_segments += len(gone)
            self.stats.discarded_bytes += sum(gone)
            log.warning("segments discarded", stream=self._spool.stream, count=len(gone))

    def _later(self, work: Callable[[_T], None], argument: _T) -> None:
        self._finisher.submit(work, argument).add_done_callback(self._look_at)

    def _look_at(self, work: Future[None]) -> None:
        # Two fields, for two threads write them: what waits must not hide that nothing records.
        if error := work.exception():
            self.stats.spool_error = f"a finished recording stays in the spool: {error}"
            log.error("recorder", stream=self._spool.stream, trouble=self.stats.spool_error)
        elif not self._waiting:
            self.stats.spool_error = ""

    def _finish(self, segment: SegmentFile) -> None:
        try:
            done = self._spool.finish(segment.path, segment.start, segment.end, tuple(segment.gops))
        except OSError:
            self._waiting.append(segment.path)
            raise
        self._count(done)
        while self._waiting:
            self._recover(self._waiting.pop(0))
        self._make_room()

    def _recover(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            segment = recover(self._spool, path)
        except OSError:
            self._waiting.append(path)
            raise
        log.warning("left-over recording", path=str(path), recovered=segment is not None)
        if segment is None:
            self.stats.unreadable += 1
        else:
            self.stats.recovered += 1
            self._count(segment)

    def _count(self, segment: Segment) -> None:
        self.stats.segments += 1
        self.stats.segment_bytes += segment.bytes
        log.info("segment recorded", key=segment.key, bytes=segment.bytes)

    def _report(self, trouble: str) -> None:
        self.stats.error = trouble
        log.error("recorder", stream=self._spool.stream, trouble=trouble)
