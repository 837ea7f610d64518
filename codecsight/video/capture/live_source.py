"""A camera or other network stream: read by a thread of its own, with automatic reconnection."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from av.error import FFmpegError, ProtocolNotFoundError

from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.core.urls.redaction import redact_url
from codecsight.video.capture.connection import Connection
from codecsight.video.capture.failure import RetryDelays, describe_failure, is_refused_login
from codecsight.video.capture.pacer import StopFlag
from codecsight.video.capture.patience import Patience
from codecsight.video.capture.source import (
    BaseSource,
    SourceError,
    SourceOptions,
    SourceState,
)
from codecsight.video.capture.still_picture import StillPicturePoller
from codecsight.video.capture.timing.clock import StreamClock

BACKLOG = 1024
ANALYZE_S = 0.5
MAX_ANALYZE_S = 16.0


@dataclass(frozen=True, slots=True)
class _StateChange:
    """A new state, queued in order with the packets."""

    state: SourceState
    detail: str


_Item = StreamInfo | Packet | AudioInfo | AudioPacket | _StateChange | SourceError


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
        self._delays = RetryDelays(options)
        self._patience = Patience(options.timeout_s, options.stall_s)
        self._timeout_s = options.timeout_s  # of this connection
        self._refused = False

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
                elif isinstance(item, AudioInfo | AudioPacket):
                    self.hear(item)
                elif isinstance(item, SourceError):
                    raise item
                else:
                    if isinstance(item, Packet):
                        self.set_state(SourceState.LIVE, self._live_detail())
                    yield item
        finally:
            self.close()
            self.set_state(SourceState.ENDED)

    def close(self) -> None:
        """End `items` at once; the reading thread ends within the timeout."""
        self._stop.set()
        self._queue.put(None)

    def _live_detail(self) -> str:
        every_s = self.polled_s
        return f"a still picture, fetched every {every_s:g} s" if every_s else ""

    def _next(self) -> _Item | None:
        while True:
            try:
                return self._queue.get(timeout=max(self._patience.stall_s, 3 * self.polled_s))
            except queue.Empty:
                if self.state is SourceState.LIVE:
                    self.set_state(SourceState.STALLED, "no data")

    def _read(self) -> None:
        try:
            self._read_connections()
        finally:
            self._queue.put(None)  # also after an unexpected error: the consumer must not wait

    def _read_connections(self) -> None:
        while not self._stop:
            self._queue.put(_StateChange(SourceState.CONNECTING, ""))
            started = time.monotonic()
            self._refused = False
            reason = self._connect()
            if reason is None:
                return
            self.anomalies["connections lost or refused"] += 1
            if self._refused and self._options.end_on_refused_login:
                self._queue.put(SourceError(f"{redact_url(self._url)}: {reason}"))
                return
            self._wait_after(reason, time.monotonic() - started)

    def _wait_after(self, reason: str, lasted_s: float) -> None:
        if not self._refused:
            self._queue.put(_StateChange(SourceState.DOWN, reason))
            self._stop.sleep(self._delays.after_failure(lasted_s))
            return
        delay = self._delays.after_refused_login()
        reason += f"; next attempt in {delay / 60:.3g} min, because cameras lock users out"
        self._queue.put(_StateChange(SourceState.DOWN, reason))
        self._stop.sleep(delay)

    def _connect(self) -> str | None:
        """Read one connection to its end; the reason it ended, or None if the stream is over."""
        started = time.monotonic()
        self._patience.connecting()
        try:
            connection = self._open(self._analyze_s)
        except ProtocolNotFoundError:
            self._queue.put(SourceError(f"{redact_url(self._url)}: unsupported protocol"))
            return None
        except SourceError as error:  # perhaps its first key frame comes later: probe longer
            self._analyze_s = min(2 * self._analyze_s, MAX_ANALYZE_S)
            return str(error)
        except FFmpegError as error:
            return self._reason(error)
        try:
            return self._receive(connection, started)
        except (FFmpegError, SourceError) as error:
            return self._reason(error)

    def _open(self, analyze_s: float, container_format: str | None = None) -> Connection:
        self._read_started, self._timeout_s = time.monotonic(), self._patience.timeout_s
        timeouts = self._timeout_s + analyze_s, self._timeout_s
        connection = Connection(
            self._url,
            self.anomalies,
            True,
            self._av_options(),
            timeouts,
            container_format=container_format,
            on_audio=self._queue.put,
            audio=self._options.audio,
        )
        self._delays.connected()
        return connection

    def _receive(self, connection: Connection, started: float) -> str | None:
        """Queue the packets of a connection; of a still picture, also of the next ones."""
        self._queue.put(connection.info)
        reason = self._queue_packets(connection)
        if not connection.still or self._stop:
            return reason
        info, poll_s = connection.info, self._options.poll_s
        picture_format = connection.format
        self.polled_s = poll_s
        poller = StillPicturePoller(
            lambda: self._open(0.0, picture_format), poll_s, self._options.timeout_s, self._stop
        )
        for connection in poller.connections(started):
            if connection.info != info:
                info = connection.info
                self._queue.put(info)
            self._queue_packets(connection)
        return None

    def _queue_packets(self, connection: Connection) -> str | None:
        self._read_started = time.monotonic()
        try:
            for item in connection.packets(self._clock, self._capture_time):
                self._queue.put(item)
                if self._timed_out():  # the demuxer returns buffered packets before the error
                    return self._reason(None)
                while self._queue.qsize() > BACKLOG and not self._stop:
                    self._stop.sleep(0.02)
                if self._stop:
                    return None
                self._read_started = time.monotonic()
                self._patience.received(self._read_started)
            over = connection.finite and urlsplit(self._url).scheme in ("http", "https")
            return None if over else "the stream ended"
        finally:
            connection.close()

    def _capture_time(self, _decode_s: float, _display_s: float) -> float:
        """The wall clock, less what the network delayed the packet more than others."""
        return time.time() - self._clock.late_s

    def _reason(self, error: Exception | None) -> str:
        """Why a connection ended. FFmpeg has several errors for a timeout, so the clock decides."""
        self._refused = is_refused_login(error)
        if error is None or (self._timed_out() and not self._refused):
            self._patience.timed_out()
            return f"no data for {self._timeout_s:g} s"
        return describe_failure(error, self._url, self._options.transport)

    def _timed_out(self) -> bool:
        return time.monotonic() - self._read_started >= 0.95 * self._timeout_s

    def _av_options(self) -> dict[str, str]:
        """FFmpeg's options. RTSP describes the stream, so ANALYZE_S seconds of probing suffice."""
        options = {"analyzeduration": str(int(self._analyze_s * 1_000_000))}
        if urlsplit(self._url).scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = self._options.transport
        return options
