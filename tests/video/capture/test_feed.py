"""The feed: complete delivery to fast readers, dropped GOP ends for slow ones, and errors."""

import dataclasses
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from codecsight.core.orientation import Orientation
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.feed.client import FeedClient
from codecsight.video.capture.feed.protocol import (
    HEADER,
    MAX_BODY,
    CaptureStatus,
    FeedError,
    FeedItem,
    decode,
    encode,
)
from codecsight.video.capture.feed.server import FeedServer

TURNED = Orientation(transpose=True, flip_y=True)
INFO = StreamInfo(
    "h264", b"\x01\x02\xff", 640, 360, 10.0, Fraction(1, 90_000), TURNED, Fraction(4, 3)
)


def packet(index: int, size: int = 100, gop: int = 10) -> Packet:
    return Packet(
        data=index.to_bytes(4, "big") + bytes(size),
        pts=index * 9000,
        dts=None,
        duration=9000,
        time_base=Fraction(1, 90_000),
        keyframe=index % gop == 0,
        capture_time=1e9 + index / 10,
    )


@pytest.fixture
def path() -> Iterator[Path]:
    """A short path for the socket; pytest's own folders can exceed its length limit."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "cam1.sock"


@pytest.fixture
def server(path: Path) -> Iterator[FeedServer]:
    server = FeedServer(path, backlog=20_000)
    yield server
    server.close()


class Reader:
    """A client that collects all items in a thread."""

    def __init__(self, path: Path) -> None:
        self.client = FeedClient(path)
        self.items: list[FeedItem] = []
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        self.items.extend(self.client.items())

    def all(self) -> list[FeedItem]:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.items


def wait_for_readers(server: FeedServer, readers: int) -> None:
    """Wait until `readers` readers are connected."""
    deadline = time.monotonic() + 10
    while len(server._readers) < readers:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "item",
    [
        INFO,
        packet(7),
        dataclasses.replace(packet(1), pts=None, dts=-5, corrupt=True),
        dataclasses.replace(packet(1), data=b""),
        CaptureStatus("live", "ok", "", 3, {"corrupt packets": 1}, {"segments": 2}),
    ],
)
def test_an_item_is_encoded_and_decoded_unchanged(item: FeedItem) -> None:
    message = encode(item)
    kind, length = HEADER.unpack_from(message)
    assert length == len(message) - HEADER.size
    assert decode(kind, message[HEADER.size :]) == item


@pytest.mark.parametrize(
    ("kind", "body"), [(9, b""), (2, b"short"), (1, b"{"), (1, b"{}"), (3, b"[]"), (3, b'{"x":1}')]
)
def test_a_damaged_message_raises_feed_error(kind: int, body: bytes) -> None:
    with pytest.raises(FeedError, match="the feed sent"):
        decode(kind, body)


def test_readers_receive_all_items_in_order(server: FeedServer, path: Path) -> None:
    readers = [Reader(path), Reader(path)]
    wait_for_readers(server, 2)
    sent: list[FeedItem] = [INFO, *(packet(index) for index in range(50)), CaptureStatus("live")]
    for item in sent:
        server.send(item)
    server.close()
    assert [reader.all() for reader in readers] == [sent, sent]
    assert server.dropped == 0


def test_a_late_reader_receives_the_stream_info_and_the_current_gop(
    server: FeedServer, path: Path
) -> None:
    server.send(INFO)
    for index in range(15):
        server.send(packet(index))
    reader = Reader(path)
    wait_for_readers(server, 1)
    for index in range(15, 25):
        server.send(packet(index))
    server.close()
    assert reader.all() == [INFO, *(packet(index) for index in range(10, 25))]
    assert server.dropped == 0


def test_a_late_reader_starts_at_the_next_gop_if_the_current_one_is_too_large(
    server: FeedServer, path: Path
) -> None:
    server.send(INFO)
    for index in range(15):
        server.send(packet(index, size=3000))
    reader = Reader(path)
    wait_for_readers(server, 1)
    for index in range(15, 25):
        server.send(packet(index))
    server.close()
    assert reader.all() == [INFO, *(packet(index) for index in range(20, 25))]
    assert server.dropped == 0


def test_a_stuck_reader_loses_the_ends_of_gops_without_blocking_the_server(
    server: FeedServer, path: Path
) -> None:
    client = FeedClient(path)
    wait_for_readers(server, 1)
    server.send(INFO)
    started = time.monotonic()
    for index in range(2000):
        server.send(packet(index, size=2000))
    assert time.monotonic() - started < 5
    assert server.dropped > 1000
    received: list[FeedItem] = []
    threading.Thread(target=server.close, args=(10.0,)).start()
    received.extend(client.items())
    indices = [
        int.from_bytes(item.data[:4], "big") for item in received if isinstance(item, Packet)
    ]
    assert len(indices) + server.dropped == 2000
    for before, after in pairwise(indices):
        assert after == before + 1 or after % 10 == 0


def test_a_reader_that_was_stuck_continues_with_the_newest_stream_info(
    server: FeedServer, path: Path
) -> None:
    client = FeedClient(path)
    wait_for_readers(server, 1)
    newer = dataclasses.replace(INFO, width=1280)
    server.send(INFO)
    for index in range(500):
        server.send(packet(index, size=2000))
    server.send(newer)
    items = client.items()
    received: list[FeedItem] = []
    index = 500
    deadline = time.monotonic() + 10
    while newer not in received:
        assert time.monotonic() < deadline
        server.send(packet(index))
        received.append(next(items))
        index += 1
    following = next(item for item in items if isinstance(item, Packet))
    assert following.keyframe
    client.close()


def test_a_disconnected_reader_is_removed(server: FeedServer, path: Path) -> None:
    client = FeedClient(path)
    wait_for_readers(server, 1)
    client._socket.close()
    deadline = time.monotonic() + 10
    while server._readers:
        assert time.monotonic() < deadline
        server.send(packet(0, size=5000))
        time.sleep(0.01)


def test_the_socket_is_private_and_removed_with_the_server(path: Path) -> None:
    server = FeedServer(path)
    assert path.stat().st_mode & 0o777 == 0o600
    server.close()
    assert not path.exists()


def test_the_socket_of_an_ended_process_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    FeedServer(path).close()


@pytest.mark.usefixtures("server")
def test_a_socket_in_use_a_file_and_a_long_path_are_rejected(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="another process serves"):
        FeedServer(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FeedError, match="not a socket"):
        FeedServer(tmp_path / "file")
    with pytest.raises(FeedError, match="at most 107 bytes"):
        FeedServer(tmp_path / ("x" * 100))


def test_a_client_without_a_server_raises_an_error_with_a_hint(path: Path) -> None:
    with pytest.raises(FeedError, match="is the recording process running"):
        FeedClient(path, wait_s=0.1)


def test_a_silent_server_and_an_invalid_message_raise_feed_error(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(FeedError, match="no status"):
            list(FeedClient(path, silence_s=0.1).items())
        client = FeedClient(path)
        listener.accept()
        other, _ = listener.accept()
        other.sendall(HEADER.pack(2, MAX_BODY + 1))
        with pytest.raises(FeedError, match="not a feed"):
            list(client.items())
