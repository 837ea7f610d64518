"""Client of the feed: reads packets and status of a recording process from a Unix socket."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from codecsight.video.capture.feed.protocol import (
    HEADER,
    MAX_BODY,
    FeedError,
    FeedItem,
    check_socket_path,
    decode,
)

SILENCE_S = 15.0


class FeedClient:
    """Reads the feed at `path`.

    The constructor waits up to `wait_s` seconds for the socket, then raises FeedError. `items`
    raises FeedError after `silence_s` seconds without a message.
    """

    def __init__(self, path: Path, wait_s: float = 10.0, silence_s: float = SILENCE_S) -> None:
        self._path = path
        self._socket = _connect(path, wait_s)
        self._socket.settimeout(silence_s)

    def items(self) -> Iterator[FeedItem]:
        """Yield items until the recording process ends or `close` is called.

        The first packet of each connection is a key frame. Raises FeedError if the process hangs
        (it sends a status every second) or sends an invalid message.
        """
        with self._socket, self._socket.makefile("rb", buffering=1 << 16) as stream:
            while True:
                try:
                    header = stream.read(HEADER.size)
                    kind, length = HEADER.unpack(header) if len(header) == HEADER.size else (0, -1)
                    body = stream.read(length) if 0 <= length <= MAX_BODY else b""
                except TimeoutError:
                    raise FeedError(
                        f"{self._path}: no status from the recording process for "
                        f"{self._socket.gettimeout():.0f} s; restart it"
                    ) from None
                except OSError:
                    return
                if length > MAX_BODY:
                    raise FeedError(f"{self._path}: a message of {length} bytes; not a feed?")
                if length < 0 or len(body) < length:
                    return
                yield decode(kind, body)

    def close(self) -> None:
        """End `items`; any thread may call it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _connect(path: Path, wait_s: float) -> socket.socket:
    check_socket_path(path)
    deadline = time.monotonic() + wait_s
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return connection
        except OSError as error:
            connection.close()
            if time.monotonic() >= deadline:
                raise FeedError(
                    f"{path}: no feed after {wait_s:.0f} s ({error.strerror}); "
                    "is the recording process running?"
                ) from error
        time.sleep(0.05)
