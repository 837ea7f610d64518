"""The feed: what a recording process passes on, over a local socket, to whoever analyses.

Recording never waits for a reader. One that is slow or stuck loses the rest of a GOP, and goes on
at the next key frame. One that comes late is given the GOP so far: with the GOPs of minutes that
smart codecs make, waiting for the next would leave it blind.
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
    """Listens at `path` (for this user only) and passes items on to every reader there is.

    Each reader has a backlog of at most `backlog` bytes. `lost` counts the packets that readers
    were too slow for. Raises FeedError where the socket cannot be had.
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
        """Pass the item on; returns at once. Raises FeedError only for what no message can hold."""
        message = encode(item)
        with self._lock:
            self._remember(item, message)
            self._readers = [reader for reader in self._readers if reader.alive]
            for reader in self._readers:
                self.dropped += reader.offer(item, message)

    def _remember(self, item: FeedItem, message: bytes) -> None:
        """Keep the GOP so far for readers that are still to come, unless it grows too large."""
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
        """Give readers up to `drain_s` seconds for what they have not read, then hang up."""
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
    """One connection and its backlog, sent by a thread of its own."""

    def __init__(
        self, connection: socket.socket, limit: int, info: bytes | None, gop: list[bytes]
    ) -> None:
        """`gop` is what has been sent of the GOP so far, none of it if that is not known."""
        self.alive = True
        self._connection = connection
        self._limit = limit
        self._held = 0
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
        """Queue the message if there is room; whether a packet was lost to this reader.

        A StreamInfo waits for its first key frame, so that neither comes without the other.
        """
        if isinstance(item, StreamInfo):
            self._info, self._in_gop = message, False
        elif not isinstance(item, Packet):
            self._push(message)
        else:
            self._in_gop = self._take(item, message)
            return self._joined and not self._in_gop
        return False

    def _take(self, packet: Packet, message: bytes) -> bool:
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
            if self._held + len(message) > self._limit:
                return False
            self._messages.append(message)
            self._held += len(message)
            self._changed.notify()
            return True

    def finish(self, deadline: float) -> None:
        """Send what is queued until `deadline` (monotonic), then hang up."""
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
                    self._held -= len(message)
        except OSError:
            pass  # the reader went away
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
    """Take away the socket of a process that is gone; FeedError if it isn't one."""
    if not path.is_socket():
        raise FeedError(f"{path} is a file, not a socket: name another place for the feed")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise FeedError(f"{path}: another process serves a feed here; end it or name another place")
