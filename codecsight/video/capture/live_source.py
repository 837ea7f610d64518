"""A camera or other network stream: read by a thread of its own, with automatic reconnection."""

import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from av.error import FFmpegError, ProtocolNotFoundError

from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.redaction import redact_text, redact_url
from codecsight.video.capture.connection import Connection
from codecsight.video.capture.pacer import StopFlag
from codecsight.video.capture.source import (
    BaseSource,
    SourceError,
    SourceOptions,
    SourceState,
)
from codecsight.video.capture.timing.clock import StreamClock

BACKLOG = 1024
ANALYZE_S = 0.5
MAX_ANALYZE_S = 16.0


@dataclass(frozen=True, slots=True)
class _StateChange:
    """A new state, queued in order with the packets."""

    state: SourceState
    detail: str


_Item = StreamInfo | Packet | _StateChange | SourceError


class LiveSource(BaseSource):
    """A network stream that reconnects whenever its connection breaks, until `close`.

    A thread reads the stream, so that a stall is detected while it lasts and `close` ends `items`
    at once. The thread queues BACKLOG packets for a slow consumer and then stops reading, so that
    TCP's flow control slows the sender.
    """

    def __init__(self, url: str, options: SourceOptions) -> None:
        super().__init__(live=True)
        self._url = url
        self._options = options
        self._stop = StopFlag()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._clock = StreamClock(self.anomalies, live=True)
        self._read_started = time.monotonic()
        self._analyze_s = ANALYZE_S

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Yield the packets of one connection after the other."""
        threading.Thread(
            target=self._read, name=f"source {redact_url(self._url)}", daemon=True
        ).start()
        try:
            while not self._stop:
                item = self._next()
                if item is None:
                    return
                if isinstance(item, _StateChange):
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
        """End `items` at once; the reading thread ends within the timeout."""
        self._stop.set()
        self._queue.put(None)

    def _next(self) -> _Item | None:
        while True:
            try:
                return self._queue.get(timeout=self._options.stall_s)
            except queue.Empty:
                if self.state is SourceState.LIVE:
                    self.set_state(SourceState.STALLED, "no data")

    def _read(self) -> None:
        wait = self._options.retry_min_s
        while not self._stop:
            self._queue.put(_StateChange(SourceState.CONNECTING, ""))
            started = time.monotonic()
            reason = self._connect()
            if reason is None:
                self._queue.put(None)
                return
            self.anomalies["connections lost or refused"] += 1
            self._queue.put(_StateChange(SourceState.DOWN, reason))
            # A connection that lasted is not a repeated failure: reset the back-off.
            if time.monotonic() - started > 2 * self._options.timeout_s:
                wait = self._options.retry_min_s
            self._stop.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(2 * wait, self._options.retry_max_s)

    def _connect(self) -> str | None:
        """Read one connection to its end; the reason it ended, or None if the stream is over."""
        self._read_started = time.monotonic()
        wait = self._options.timeout_s
        timeouts = wait + self._analyze_s, wait
        try:
            connection = Connection(self._url, self.anomalies, True, self._av_options(), timeouts)
        except ProtocolNotFoundError:
            self._queue.put(SourceError(f"{redact_url(self._url)}: unsupported protocol"))
            return None
        except SourceError as error:  # perhaps its first key frame comes later: probe longer
            self._analyze_s = min(2 * self._analyze_s, MAX_ANALYZE_S)
            return str(error)
        except FFmpegError as error:
            return self._reason(error)
        try:
            return self._queue_packets(connection)
        except FFmpegError as error:
            return self._reason(error)
        finally:
            connection.close()

    def _queue_packets(self, connection: Connection) -> str | None:
        self._queue.put(connection.info)
        self._read_started = time.monotonic()
        for packet in connection.packets(self._clock, self._capture_time):
            self._queue.put(packet)
            if self._timed_out():  # the demuxer returns buffered packets before the error
                return self._reason(None)
            while self._queue.qsize() > BACKLOG and not self._stop:
                self._stop.sleep(0.02)
            if self._stop:
                return None
            self._read_started = time.monotonic()
        over = connection.finite and urlsplit(self._url).scheme in ("http", "https")
        return None if over else "the stream ended"

    def _capture_time(self, _decode_s: float, _display_s: float) -> float:
        """The wall clock, less what the network delayed the packet more than others."""
        return time.time() - self._clock.late_s

    def _reason(self, error: Exception | None) -> str:
        """Why a connection ended. FFmpeg has several errors for a timeout, so the clock decides."""
        if error is None or self._timed_out():
            return f"no data for {self._options.timeout_s:g} s"
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return redact_text(text.replace(self._url, redact_url(self._url)))

    def _timed_out(self) -> bool:
        return time.monotonic() - self._read_started >= 0.95 * self._options.timeout_s

    def _av_options(self) -> dict[str, str]:
        """FFmpeg's options. RTSP describes the stream, so ANALYZE_S seconds of probing suffice."""
        options = {"analyzeduration": str(int(self._analyze_s * 1_000_000))}
        if urlsplit(self._url).scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = self._options.transport
        return options
