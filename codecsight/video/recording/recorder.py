"""Records every packet of a stream into segments on the edge's disk, without transcoding."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import av
import structlog

from codecsight.archive.segment import Segment
from codecsight.archive.spool import Spool
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.video.recording.continuity import Continuity
from codecsight.video.recording.mux_stream import RecordingError
from codecsight.video.recording.recovery import recover
from codecsight.video.recording.segment_file import SegmentFile
from codecsight.video.recording.sound_stream import can_record

log = structlog.get_logger()

_T = TypeVar("_T")

MAX_SEGMENT_S = 900.0
MAX_SEGMENT_BYTES = 1 << 30
NO_KEYFRAME_WARNING_S = 30.0
RETRY_S = 5.0


@dataclass(slots=True)
class RecorderStats:
    """Counts of recorded and unrecorded data, and the current errors.

    `error` describes why recording is paused or degraded, `spool_error` why finished recordings
    wait in the spool, `alarm` what will be lost soon; all are empty while there is no problem.

    - `before_keyframe`: packets of a connection before its first key frame.
    - `empty_packets`: packets without data.
    - `lost_packets`: packets not recorded because the disk or the muxer failed.
    - `mid_gop_segments`: segments that start inside a GOP because it exceeded the size limits.
    - `recovered`, `unreadable`: files left by a killed process or a full disk. Recovered ones
      also count as `segments`.
    - `discarded_segments`: segments deleted before upload to respect the spool's size limit.
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
    alarm: str = ""


class Recorder:
    """Records one stream into SPOOL/STREAM (see `Spool`).

    A segment starts at a key frame. It ends at the first key frame at least `segment_s` seconds
    later, or where the connection ends. Cameras with smart codecs send GOPs of minutes: a GOP is
    split only where its segment would exceed `max_segment_s` seconds or `max_segment_bytes` bytes,
    where the wall clock is set, or where no picture comes for a while (see Continuity). It then
    continues in the next segment.

    Camera and disk errors are never raised. On a disk error the written data stays, recording
    pauses, packets are counted as lost, and recording is retried every `retry_s` seconds. After
    each finished segment, the oldest segments are deleted while the folder exceeds `limit_bytes`.

    The constructor raises ArchiveError if the folder can't be used or another process uses it.
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
        self._audio: AudioInfo | None = None
        self._segment: SegmentFile | None = None
        self._inside_gop = False
        self._continuity = Continuity()
        self._no_keyframe_since: float | None = None
        self._retry_at = 0.0
        self._unfinished: list[Path] = []
        # Syncing and hashing a finished segment can take seconds. One background thread does it,
        # so that packets are not delayed.
        self._finisher = ThreadPoolExecutor(1, "recorder")
        for path in self._spool.unfinished():
            self._submit(self._recover, path)

    def write(self, item: StreamInfo | Packet) -> None:
        """Record the next item of a source, in the order of the source."""
        if isinstance(item, StreamInfo):
            self.disconnected()
            self._continuity.start(item.rate)
            self._info, self._audio = item, None
        elif not item.data:
            self.stats.empty_packets += 1
        else:
            self._record(item)

    def start_audio(self, info: AudioInfo) -> str:
        """Record the sound of this connection from now on; returns "recorded", or why it is not."""
        if not can_record(info):
            return "not recorded: recordings can't hold it; set the camera to AAC, G.711 or Opus"
        self._audio = info
        return "recorded"

    def write_audio(self, packet: AudioPacket) -> None:
        """Record a packet of sound, if there is a segment whose time it belongs to."""
        if self._segment is not None and self._audio is not None:
            try:
                self._segment.write_audio(packet)
            except (OSError, ValueError, av.FFmpegError) as error:
                self._pause(error)

    def disconnected(self) -> None:
        """Finish the current segment, so that it is archived while the camera is away."""
        self._end_segment()
        self._inside_gop = False
        self._no_keyframe_since = None

    def close(self) -> None:
        """Finish the last segment; on return it is on disk with its metadata row."""
        self._end_segment()
        self._finisher.shutdown(wait=True)
        self._spool.release()

    def _record(self, packet: Packet) -> None:
        broken = self._is_broken(packet)
        if self._segment and (broken or self._is_full(self._segment, packet)):
            self._end_segment()
            self._inside_gop = not packet.keyframe
        if self._segment is None:
            self._start_segment(packet)
        if self._segment is None:
            return
        longest = round(self._continuity.longest_frame_s() / packet.time_base)
        try:
            # The last picture before a pause may claim to last until its end.
            self._segment.write(replace(packet, duration=min(packet.duration, longest)))
            self.stats.packets += 1
        except (OSError, ValueError, av.FFmpegError) as error:
            self._pause(error)

    def _is_broken(self, packet: Packet) -> bool:
        reason = self._continuity.add(packet)
        if reason and self._segment:
            log.warning("new segment", stream=self._spool.stream, reason=reason)
        return bool(reason)

    def _is_full(self, segment: SegmentFile, packet: Packet) -> bool:
        seconds = segment.seconds(packet)
        if packet.keyframe and seconds >= self._segment_s:
            return True
        return seconds >= self._max_segment_s or segment.size >= self._max_segment_bytes

    def _start_segment(self, packet: Packet) -> None:
        if self._info is None or not (packet.keyframe or self._inside_gop):
            self._skip_before_keyframe(packet)
            return
        if time.monotonic() < self._retry_at:
            self.stats.lost_packets += 1
            return
        try:
            path = self._spool.new_part(packet.capture_time)
            self._segment = SegmentFile(path, self._info, packet, self._spool.stream, self._audio)
        except (OSError, ValueError, RecordingError, av.FFmpegError) as error:
            self._pause(error)
            return
        self.stats.mid_gop_segments += not packet.keyframe
        self.stats.error = ""
        self._retry_at = 0.0
        self._continuity.start_segment()
        self._no_keyframe_since = None

    def _skip_before_keyframe(self, packet: Packet) -> None:
        """Count a packet that can't start a segment; warn after NO_KEYFRAME_WARNING_S seconds."""
        if self._retry_at:  # paused in mid-GOP: the disk is the cause, not the camera
            self.stats.lost_packets += 1
            return
        self.stats.before_keyframe += 1
        self._no_keyframe_since = self._no_keyframe_since or packet.capture_time
        if (
            packet.capture_time - self._no_keyframe_since > NO_KEYFRAME_WARNING_S
            and not self.stats.error
        ):
            self._report(
                f"no key frame for {NO_KEYFRAME_WARNING_S:.0f} s, so recording cannot start: "
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
            self._submit(self._recover, segment.path)
        else:
            self._submit(self._finish, segment)

    def _pause(self, error: Exception) -> None:
        """Close the segment after a disk or muxer error, and schedule the next attempt."""
        self.stats.lost_packets += 1
        self._inside_gop = False
        self._retry_at = time.monotonic() + self._retry_s
        self._report(f"recording paused: {error}; free some disk space or lower the spool limit")
        segment, self._segment = self._segment, None
        if segment:
            self._submit(self._recover, segment.path)

    def _enforce_limit(self) -> None:
        sizes = self._spool.discard_oldest()
        if sizes:
            self.stats.discarded_segments += len(sizes)
            self.stats.discarded_bytes += sum(sizes)
            log.warning("segments discarded", stream=self._spool.stream, count=len(sizes))
        known, self.stats.alarm = self.stats.alarm, self._spool.alarm()
        if self.stats.alarm and not known:
            log.warning("spool alarm", stream=self._spool.stream, alarm=self.stats.alarm)

    def _submit(self, work: Callable[[_T], None], argument: _T) -> None:
        self._finisher.submit(work, argument).add_done_callback(self._check_result)

    def _check_result(self, work: Future[None]) -> None:
        # A field of its own: the recording thread writes `error`, the finisher's thread this one,
        # and a segment that waits must not hide that recording is paused.
        if error := work.exception():
            self.stats.spool_error = f"a finished recording stays in the spool: {error}"
            log.error("segment not finished", stream=self._spool.stream, error=str(error))
        elif not self._unfinished:
            self.stats.spool_error = ""

    def _finish(self, segment: SegmentFile) -> None:
        try:
            done = self._spool.finish(segment.path, segment.start, segment.end, tuple(segment.gops))
        except OSError:
            self._unfinished.append(segment.path)
            raise
        self._count(done)
        while self._unfinished:
            self._recover(self._unfinished.pop(0))
        self._enforce_limit()

    def _recover(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            segment = recover(self._spool, path)
        except OSError:
            self._unfinished.append(path)
            raise
        log.warning("unfinished recording", path=str(path), recovered=segment is not None)
        if segment is None:
            self.stats.unreadable += 1
        else:
            self.stats.recovered += 1
            self._count(segment)

    def _count(self, segment: Segment) -> None:
        self.stats.segments += 1
        self.stats.segment_bytes += segment.bytes
        log.debug("segment recorded", key=segment.key, bytes=segment.bytes)

    def _report(self, message: str) -> None:
        self.stats.error = message
        log.error("recording error", stream=self._spool.stream, error=message)
