"""Server of the feed: sends a recording process's packets to local readers over a Unix socket.

Recording never waits for a reader. For a slow or stuck reader the rest of a GOP is dropped, and it
continues at the next key frame. A reader that connects late is sent the current GOP from its
start: cameras with smart codecs send GOPs of minutes, too long to wait for the next key frame.
"""

import contextlib
import socket
import threading
import time
from collections import deque
from pathlib import Path

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.feed.protocol import FeedError, FeedItem, check_socket_path, encode

BACKLOG_BYTES = 16 << 20


class FeedServer:
    """Listens at `path` (for this user only) and sends every item to all connected readers.

    Each reader has a backlog of at most `backlog` bytes. `dropped` counts packets dropped for
    slow readers. The constructor raises FeedError if the socket can't be created.
    """

    def __init__(self, path: Path, backlog: int = BACKLOG_BYTES) -> None:
        self.path = path
        self.dropped = 0
        self._backlog = backlog
        self._lock = threading.Lock()
        self._readers: list[_Reader] = []
        self._info: bytes | None = None
        self._gop: list[bytes] = []
        self._gop_size = 0
        self._socket = _listen(path)
        threading.Thread(target=self._accept, name=f"feed {path.name}", daemon=True).start()

    def send(self, item: FeedItem) -> None:
        """Queue the item for all readers without blocking. Raises FeedError if it is too large."""
        message = encode(item)
        with self._lock:
            self._cache_gop(item, message)
            self._readers = [reader for reader in self._readers if reader.alive]
            for reader in self._readers:
                self.dropped += reader.offer(item, message)

    def _cache_gop(self, item: FeedItem, message: bytes) -> None:
        """Keep the current GOP for readers that connect later, unless it grows too large."""
        if isinstance(item, StreamInfo):
            self._info, self._gop = message, []
        elif isinstance(item, Packet) and (item.keyframe or self._gop):
            if item.keyframe:
                self._gop, self._gop_size = [], 0
            self._gop.append(message)
            self._gop_size += len(message)
            if self._gop_size > self._backlog // 2:
                self._gop = []

    def close(self, drain_s: float = 2.0) -> None:
        """Wait up to `drain_s` seconds for readers to read their backlog, then disconnect them."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        deadline = time.monotonic() + drain_s
        with self._lock:
            for reader in self._readers:
                reader.finish(deadline)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            with self._lock:
                self._readers.append(_Reader(connection, self._backlog, self._info, self._gop))


class _Reader:
    """One connected reader and its backlog, sent by a thread of its own."""

    def __init__(
        self, connection: socket.socket, limit: int, info: bytes | None, gop: list[bytes]
    ) -> None:
        """`gop` holds the messages of the current GOP so far; empty if they were not kept."""
        self.alive = True
        self._connection = connection
        self._limit = limit
        self._queued_bytes = 0
        self._messages: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._info = info
        self._joined = self._in_gop = self._finishing = False
        if gop and info is not None:
            for message in (info, *gop):
                self._push(message)
            self._info, self._joined, self._in_gop = None, True, True
        self._thread = threading.Thread(target=self._send, name="feed reader", daemon=True)
        self._thread.start()

    def offer(self, item: FeedItem, message: bytes) -> bool:
        """Queue the message if there is room; returns whether a packet was dropped.

        A StreamInfo is held back until the next key frame, so that both are queued or neither.
        """
        if isinstance(item, StreamInfo):
            self._info, self._in_gop = message, False
        elif not isinstance(item, Packet):
            self._push(message)
        else:
            self._in_gop = self._queue_packet(item, message)
            return self._joined and not self._in_gop
        return False

    def _queue_packet(self, packet: Packet, message: bytes) -> bool:
        if not (packet.keyframe or self._in_gop):
            return False
        if packet.keyframe and self._info is not None:
            if not self._push(self._info):
                return False
            self._info = None
        self._joined = True
        return self._push(message)

    def _push(self, message: bytes) -> bool:
        with self._changed:
            if self._queued_bytes + len(message) > self._limit:
                return False
            self._messages.append(message)
            self._queued_bytes += len(message)
            self._changed.notify()
            return True

    def finish(self, deadline: float) -> None:
        """Send the backlog until `deadline` (monotonic clock), then disconnect."""
        with self._changed:
            self._finishing = True
            self._changed.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _send(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._connection.sendall(message)
                with self._changed:
                    self._queued_bytes -= len(message)
        except OSError:
            pass  # the reader disconnected
        finally:
            self.alive = False
            self._connection.close()

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._finishing)
            return self._messages.popleft() if self._messages else None


def _listen(path: Path) -> socket.socket:
    check_socket_path(path)
    if path.exists():
        _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(4)
    except OSError as error:
        listener.close()
        raise FeedError(f"{path}: cannot open the feed here: {error.strerror}") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that has ended; FeedError if it is a file or in use."""
    if not path.is_socket():
        raise FeedError(f"{path} is a file, not a socket: choose another path for the feed")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise FeedError(f"{path}: another process serves a feed here; end it or choose another path")
