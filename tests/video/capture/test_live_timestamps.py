"""Cameras whose timestamps fail, over HTTP: FFmpeg reads them, and the source times them."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import av
import pytest

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceOptions
from codecsight.video.codec.decoder import Decoder
from codecsight.video.recording.mux_stream import add_stream
from tests.video.scenes import encode, moving_square

RATE = 25
CLUSTER = rb"(\x1f\x43\xb6\x75.{1,16}?\xe7\x82)(..)"
"""The head of a cluster in Matroska and its timestamp in milliseconds, of two bytes."""

Stamp = Callable[[int], int]


class Pieces:
    """A file that can't be sought in, as a list of what was written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)


def live_matroska(seconds: float) -> bytes:
    """A stream without an end, in which every picture is a cluster with a time above 256 ms."""
    out = Pieces()
    options = {"live": "1", "write_crc32": "0", "cluster_time_limit": "0", "flush_packets": "1"}
    info, packets = encode(moving_square(round(seconds * RATE), (3, 0), (8, 80)), gop=10)
    with av.open(out, "w", format="matroska", options=options) as container:
        stream = add_stream(container, info)
        for index, each in enumerate(packets):
            packet = av.Packet(each.data)
            packet.pts = packet.dts = 1000 + 40 * index
            packet.time_base, packet.is_keyframe = Fraction(1, 1000), each.keyframe
            packet.stream = stream
            container.mux_one(packet)
    video = b"".join(out.pieces)
    assert len(re.findall(CLUSTER, video, re.DOTALL)) == len(packets)
    return video


class Camera(BaseHTTPRequestHandler):
    """Sends a picture every 40 ms, with the timestamp `stamp`(index) in milliseconds."""

    def __init__(self, video: bytes, stamp: Stamp, *arguments: object) -> None:
        self._video, self._stamp = video, stamp
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        begin, at = time.monotonic(), 0
        for index, found in enumerate(re.finditer(CLUSTER, self._video, re.DOTALL)):
            time.sleep(max(0.0, begin + index / RATE - time.monotonic()))
            try:
                self.wfile.write(self._video[at : found.start(2)])
                self.wfile.write(self._stamp(index).to_bytes(2))
            except OSError:
                return
            at = found.end(2)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def camera(stamp: Stamp) -> Iterator[str]:
    handler = partial(Camera, live_matroska(3.0), stamp)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        server.shutdown()
        server.server_close()


def watch(url: str, count: int) -> tuple[list[float], list[float]]:
    """Stream times and wall times of the first `count` decoded frames."""
    source = open_source(url, SourceOptions(timeout_s=2.0, retry_min_s=5.0))
    timer = threading.Timer(20.0, source.close)
    timer.start()
    decoder, times, walls = None, [], []
    for item in source.items():
        if isinstance(item, StreamInfo):
            decoder = Decoder(item)
        elif isinstance(item, Packet) and decoder is not None:
            for frame in decoder.decode(item):
                times.append(frame.time)
                walls.append(time.time())
        if len(times) >= count:
            source.close()
    timer.cancel()
    return times, walls


STAMPS: dict[str, Stamp] = {
    "as they should": lambda index: 1000 + 40 * index,
    "never move": lambda _: 1000,
    "jump ahead once": lambda index: 1000 + 40 * index + 7000 * (index == 30),
    "restart": lambda index: 1000 + 40 * (index % 25),
}


@pytest.mark.parametrize("stamp", STAMPS.values(), ids=STAMPS)
def test_times_of_a_camera_whose_timestamps(stamp: Stamp) -> None:
    with camera(stamp) as url:
        times, walls = watch(url, 50)
    assert len(times) == 50
    assert times[-1] - times[0] == pytest.approx(walls[-1] - walls[0], abs=0.8)
    assert 49 / (times[-1] - times[0]) == pytest.approx(RATE, rel=0.2)
    assert max(b - a for a, b in pairwise(times)) < 0.8
