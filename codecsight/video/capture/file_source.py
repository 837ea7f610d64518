"""A video file as a source: once or in a loop, in real time or as fast as it can be read."""

import re
from collections.abc import Iterator
from pathlib import Path

from av.error import FFmpegError

from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.urls.redaction import redact_url
from codecsight.video.capture.connection import Connection
from codecsight.video.capture.files.pipe import PipeReader, is_pipe
from codecsight.video.capture.pacer import Pacer, StopFlag
from codecsight.video.capture.source import BaseSource, SourceError, SourceOptions, SourceState
from codecsight.video.capture.timing.clock import StreamClock

RAW_PIXEL_SUFFIXES = frozenset({".yuv", ".rgb", ".bgr", ".raw", ".nv12", ".i420", ".gray"})
RAW_PIXELS = (
    "raw pixels without a header, so that size and frame rate are unknown; convert it: ffmpeg "
    "-f rawvideo -pixel_format yuv420p -video_size WxH -framerate FPS -i {} video.mkv"
)
PIPE_HINT = "a pipe needs a format that is read in one pass: MPEG-TS, Matroska, or fragmented MP4"
NO_TIMESTAMPS = "a raw stream without timestamps; wrap it: ffmpeg -r FPS -i {} -c copy wrapped.mp4"


class FileSource(BaseSource):
    """The packets of a file or a pipe. The constructor raises SourceError for an unreadable one; it
    waits for the first data of a pipe.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(live=options.paced)
        self._path = path
        self._is_pipe = is_pipe(path)
        self._pipe: PipeReader | None = None
        self._options = options
        self._stop = StopFlag()
        self._first: Connection | None = self._open()

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Yield the packets; a looped file starts every round with its StreamInfo."""
        clock = StreamClock(self.anomalies, live=False)
        pacer = Pacer(self._stop, self._options.paced)
        try:
            while not self._stop:
                yield from self._round(clock, pacer)
                if not self._options.loop:
                    break
        finally:
            self.close()
            self.set_state(SourceState.ENDED)

    def close(self) -> None:
        """End `items` at its next packet."""
        self._stop.set()

    def _round(self, clock: StreamClock, pacer: Pacer) -> Iterator[StreamInfo | Packet]:
        connection, self._first = self._first or self._open(), None
        count = 0
        try:
            yield connection.info
            self.set_state(SourceState.LIVE)
            for item in connection.packets(clock, pacer.capture_time):
                if self._stop:
                    return
                if isinstance(item, Packet):
                    if not count and item.pts is None and item.dts is None:
                        raise SourceError(f"{self._path}: {NO_TIMESTAMPS.format(self._path.name)}")
                    count += 1
                yield item
        except FFmpegError as error:  # damaged in the middle: what was read so far counts
            self.anomalies["container errors"] += 1
            self.set_state(SourceState.LIVE, f"reading stopped early: {error.strerror}")
        finally:
            connection.close()
            if self._pipe is not None:
                self._pipe.close()
        if not count:
            raise SourceError(f"{self._path}: the file contains no video packets")

    def _open(self) -> Connection:
        if self._is_pipe:
            return self._connect(self._read_pipe())
        if not self._path.is_file():
            raise SourceError(f"{redact_url(str(self._path))}: {_why_no_file(self._path)}")
        return self._connect(str(self._path.resolve()))

    def _read_pipe(self) -> PipeReader:
        if self._options.loop or self._pipe is not None:
            raise SourceError(f"{self._path}: a pipe can't be read again in a loop")
        self._pipe = PipeReader(self._path, lambda: bool(self._stop))
        return self._pipe

    def _connect(self, file: str | PipeReader) -> Connection:
        try:
            return Connection(
                file, self.anomalies, live=False, on_audio=self.hear, audio=self._options.audio
            )
        except SourceError as error:
            raise SourceError(f"{self._path}: {error}") from None
        except FFmpegError as error:
            raise SourceError(f"{self._path}: {self._why_unreadable(error)}") from None

    def _why_unreadable(self, error: FFmpegError) -> str:
        if self._path.suffix.lower() in RAW_PIXEL_SUFFIXES:
            return RAW_PIXELS.format(self._path.name)
        hint = PIPE_HINT if self._is_pipe else "is it complete?"
        return f"can't be read as video ({error.strerror}); {hint}"


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "a folder, not a file"
    if "@" in str(path) or re.match(r"[\w.-]+:\d+/", str(path)):
        return "no such file; a camera's URL begins with rtsp:// or http://"
    return "no such file"
