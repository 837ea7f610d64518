"""Timeouts of live sources that follow the camera's pace."""

import io
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from codecsight.core.packet import StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.patience import Patience
from codecsight.video.capture.source import SourceOptions
from tests.video.scenes import texture

DEADLINE_S = 30.0


def receive(patience: Patience, count: int, every_s: float) -> None:
    patience.connecting()
    for index in range(count):
        patience.received(100.0 + every_s * index)


def test_a_camera_of_25_pictures_a_second_keeps_the_usual_times() -> None:
    patience = Patience(5.0, 2.0)
    receive(patience, 100, 0.04)
    patience.timed_out()
    assert (patience.timeout_s, patience.stall_s) == (5.0, 2.0)


def test_a_connection_that_brings_next_to_nothing_doubles_the_next_ones_time() -> None:
    patience = Patience(5.0, 2.0)
    times = []
    for _ in range(5):
        receive(patience, 1, 1.0)
        patience.timed_out()
        times.append(patience.timeout_s)
    assert times == [10.0, 20.0, 30.0, 30.0, 30.0]
    receive(patience, 20, 0.04)
    assert patience.timeout_s == 5.0


def test_the_times_of_a_slow_camera_are_three_of_its_intervals() -> None:
    patience = Patience(5.0, 2.0)
    receive(patience, 5, 6.0)
    assert (patience.timeout_s, patience.stall_s) == (18.0, 18.0)
    receive(patience, 5, 60.0)
    assert (patience.timeout_s, patience.stall_s) == (30.0, 30.0)


def test_one_pause_is_soon_forgotten() -> None:
    patience = Patience(5.0, 2.0)
    receive(patience, 5, 4.0)
    assert patience.stall_s == pytest.approx(12.0)
    for index in range(40):
        patience.received(200.0 + 0.04 * index)
    patience.connecting()
    assert patience.timeout_s == 5.0
    assert patience.stall_s == 2.0


@contextmanager
def slow_camera(every_s: float) -> Iterator[str]:
    """An HTTP camera with a JPEG every `every_s` seconds."""
    jpeg = io.BytesIO()
    Image.fromarray(texture(96, 128, 1)).save(jpeg, "JPEG")
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}\r\n\r\n"
    kind = b"multipart/x-mixed-replace; boundary=frame"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n")
            for _ in range(100):
                try:
                    self.wfile.write(head.encode() + jpeg.getvalue() + b"\r\n")
                except OSError:
                    return
                time.sleep(every_s)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()


def test_a_camera_slower_than_the_timeout_is_received_in_the_end() -> None:
    options = SourceOptions(timeout_s=0.3, stall_s=0.2, retry_min_s=0.05, retry_max_s=0.1)
    with slow_camera(every_s=0.4) as url:
        source = open_source(url, options)
        in_a_row, started = 0, time.monotonic()
        for item in source.items():
            in_a_row = 0 if isinstance(item, StreamInfo) else in_a_row + 1
            if in_a_row == 5 or time.monotonic() - started > DEADLINE_S:
                source.close()
    assert in_a_row >= 5
    assert source.anomalies["connections lost or refused"] >= 1
