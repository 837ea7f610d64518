"""A video file as a source: once or in a loop, in real time or as fast as it can be read."""

from collections.abc import Iterator
from pathlib import Path

from av.error import FFmpegError

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.connection import Connection
from codecsight.video.capture.pacer import Pacer, StopFlag
from codecsight.video.capture.source import BaseSource, SourceError, SourceOptions, SourceState
from codecsight.video.capture.timing.clock import StreamClock

NO_TIMESTAMPS = "a raw stream without timestamps; wrap it: ffmpeg -r FPS -i {} -c copy wrapped.mp4"


class FileSource(BaseSource):
    """The packets of a file. The constructor raises SourceError for an unreadable file."""

    def __init__(self, path: str, options: SourceOptions) -> None:
        super().__init__(live=options.paced)
        self._path = Path(path)
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
        if not count:
            raise SourceError(f"{self._path}: the file contains no video packets")

    def _open(self) -> Connection:
        if not self._path.is_file():
            kind = "a folder, not a file" if self._path.is_dir() else "no such file"
            raise SourceError(f"{self._path}: {kind}")
        try:
            return Connection(
                str(self._path.resolve()),
                self.anomalies,
                live=False,
                on_audio=self.hear,
                audio=self._options.audio,
            )
        except SourceError as error:
            raise SourceError(f"{self._path}: {error}") from None
        except FFmpegError as error:
            raise SourceError(
                f"{self._path}: can't be read as video ({error.strerror}); is it complete?"
            ) from None
