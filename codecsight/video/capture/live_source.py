"""A camera, or anything else that may come and go: read by its own thread, for ever."""

import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from av.error import FFmpegError, ProtocolNotFoundError

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.clock import StreamClock
from codecsight.video.capture.connection import Connection
from codecsight.video.capture.pacer import StopFlag
from codecsight.video.capture.source import (
    BaseSource,
    SourceError,
    SourceOptions,
    SourceState,
    redact_url,
)

BACKLOG = 1024
ANALYZE_S = 0.5
ANALYZE_MOST_S = 16.0


@dataclass(frozen=True, slots=True)
class _Moved:
    state: SourceState
    detail: str


_Item = StreamInfo | Packet | _Moved | SourceError


class LiveSource(BaseSource):
    """A stream that is connected to again whenever it breaks, until it is closed.

    A thread reads, so that silence is seen while it lasts and `close` ends `items` at once. It
    holds BACKLOG packets for a consumer that lags, then lets the network wait.
    """

    def __init__(self, url: str, options: SourceOptions) -> None:
        super().__init__(live=True)
        self._url = url
        self._options = options
        self._stop = StopFlag()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._clock = StreamClock(self.anomalies, live=True)
        self._asked = time.monotonic()
        self._analyze_s = ANALYZE_S

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Give the packets of one connection after the other."""
        threading.Thread(
            target=self._read, name=f"source {redact_url(self._url)}", daemon=True
        ).start()
        try:
            while not self._stop:
                item = self._next()
                if item is None:
                    return
                if isinstance(item, _Moved):
                    self.set_state(item.state, item.detail)
                elif isinstance(item, SourceError):
                    raise item
                else:
                    if isinstance(item, Packet):
                        self.set_state(SourceState.LIVE)
                    yield item
        finally:
            self.close()
            self.set_state(SourceState.ENDED)

    def close(self) -> None:
        """End `items` at once; its thread follows within the time-out."""
        self._stop.set()
        self._queue.put(None)

    def _next(self) -> _Item | None:
        while True:
            try:
                return self._queue.get(timeout=self._options.stall_s)
            except queue.Empty:
                if self.state is SourceState.LIVE:
                    self.set_state(SourceState.STALLED, "the stream is silent")

    def _read(self) -> None:
        wait = self._options.retry_min_s
        while not self._stop:
            self._queue.put(_Moved(SourceState.CONNECTING, ""))
            began = time.monotonic()
            reason = self._connect()
            if reason is None:
                self._queue.put(None)
                return
            self.anomalies["connections lost or refused"] += 1
            self._queue.put(_Moved(SourceState.DOWN, reason))
            if time.monotonic() - began > 2 * self._options.timeout_s:
                wait = self._options.retry_min_s
            self._stop.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(2 * wait, self._options.retry_max_s)

    def _connect(self) -> str | None:
        """Read one connection to its end; why it ended, or None where the stream is over."""
        self._asked = time.monotonic()
        wait = self._options.timeout_s
        timeouts = wait + self._analyze_s, wait
        try:
            connection = Connection(self._url, self.anomalies, True, self._av_options(), timeouts)
        except ProtocolNotFoundError:
            self._queue.put(SourceError(f"{redact_url(self._url)}: nothing here opens such a URL"))
            return None
        except SourceError as error:  # perhaps its first key frame comes later
            self._analyze_s = min(2 * self._analyze_s, ANALYZE_MOST_S)
            return str(error)
        except FFmpegError as error:
            return self._reason(error)
        try:
            return self._pass_on(connection)
        except FFmpegError as error:
            return self._reason(error)
        finally:
            connection.close()

    def _pass_on(self, connection: Connection) -> str | None:
        self._queue.put(connection.info)
        self._asked = time.monotonic()
        for packet in connection.packets(self._clock, lambda _due, _shown: time.time()):
            self._queue.put(packet)
            if self._silent():  # the demuxer gives what it still held before it tells
                return self._reason(None)
            while self._queue.qsize() > BACKLOG and not self._stop:
                self._stop.sleep(0.02)
            if self._stop:
                return None
            self._asked = time.monotonic()
        over = connection.finite and urlsplit(self._url).scheme in ("http", "https")
        return None if over else "the stream ended"

    def _reason(self, error: Exception | None) -> str:
        """Why a connection ended. FFmpeg has many words for a time-out, so the clock decides."""
        if error is None or self._silent():
            return f"silent for {self._options.timeout_s:g} s"
        return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def _silent(self) -> bool:
        return time.monotonic() - self._asked >= 0.95 * self._options.timeout_s

    def _av_options(self) -> dict[str, str]:
        """Where a camera describes itself, half a second of looking at it is enough."""
        options = {"analyzeduration": str(int(self._analyze_s * 1_000_000))}
        if urlsplit(self._url).scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = self._options.transport
        return options
