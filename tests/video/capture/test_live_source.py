"""Live sources over HTTP and TCP: missing timestamps, reconnection, timeouts, slow consumers."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import Source, SourceOptions, SourceState
from codecsight.video.codec.decoder import Decoder
from tests.video.scenes import moving_square, write_video

SCENE = moving_square(25, (4, 0), (8, 80))
QUICK = SourceOptions(timeout_s=2.0, stall_s=0.5, retry_min_s=0.05, retry_max_s=0.2)
DEADLINE_S = 20.0


class WebCamera(BaseHTTPRequestHandler):
    """HTTP server: ten JPEGs a second at /live, a recording at /video.mp4, otherwise 404."""

    video = b""

    def do_GET(self) -> None:
        if self.path == "/live":
            self._live()
        elif self.path == "/video.mp4":
            self._head(200, "video/mp4", len(self.video))
            self.wfile.write(self.video)
        else:
            self._head(404, "text/plain", 0)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _head(self, code: int, kind: str, length: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _live(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for picture in SCENE * 20:
                out = io.BytesIO()
                Image.fromarray(picture).save(out, "JPEG")
                head = f"Content-Type: image/jpeg\r\nContent-Length: {out.tell()}\r\n\r\n"
                self.wfile.write(b"--frame\r\n" + head.encode() + out.getvalue() + b"\r\n")
                time.sleep(0.1)
        except OSError:
            return


@contextmanager
def web_camera(video: bytes = b"") -> Iterator[str]:
    handler = type("Handler", (WebCamera,), {"video": video})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def close_after(source: Source, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, source.close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def record_states(source: Source) -> list[tuple[SourceState, str]]:
    states: list[tuple[SourceState, str]] = []
    source.on_state = lambda state, detail: states.append((state, detail))
    return states


def test_pictures_without_timestamps_are_timed_by_arrival() -> None:
    with web_camera() as url:
        source = open_source(f"{url}/live", QUICK)
        decoder, times = None, []
        with close_after(source, DEADLINE_S):
            for item in source.items():
                if isinstance(item, StreamInfo):
                    decoder = Decoder(item)
                elif decoder is not None:
                    times += [frame.time for frame in decoder.decode(item)]
                if len(times) == 20:
                    source.close()
    assert len(times) == 20
    assert 0.8 < times[-1] - times[5] < 5, "FFmpeg alone would report 0.56 s"


def test_a_recording_over_http_ends_at_its_end(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", SCENE).read_bytes()
    with web_camera(video) as url:
        source = open_source(f"{url}/video.mp4", QUICK)
        with close_after(source, DEADLINE_S):
            items = list(source.items())
    assert sum(isinstance(item, Packet) for item in items) == 25
    assert source.state is SourceState.ENDED
    assert source.anomalies["connections lost or refused"] == 0


def test_an_absent_camera_is_down_with_a_reason_and_retried() -> None:
    with web_camera() as url:
        source = open_source(f"{url}/nowhere", QUICK)
        states = record_states(source)
        with close_after(source, 1.0):
            assert list(source.items()) == []
    downs = [detail for state, detail in states if state is SourceState.DOWN]
    assert len(downs) >= 3
    assert all("404" in detail for detail in downs)
    assert source.anomalies["connections lost or refused"] >= len(downs)
    assert states[-1][0] is SourceState.ENDED


def test_a_closed_port_is_reported_as_refused_without_credentials() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        source = open_source(f"rtsp://user:secret@127.0.0.1:{taken.getsockname()[1]}/x", QUICK)
        states = record_states(source)
        with close_after(source, 0.6):
            list(source.items())
    assert any("refused" in detail for _, detail in states)
    assert not any("secret" in detail for _, detail in states)


def test_close_ends_a_silent_connection_at_once() -> None:
    """A camera that accepts and sends nothing blocks the reading thread, not the consumer."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        source = open_source(url, SourceOptions(timeout_s=3.0))
        started = time.monotonic()
        with close_after(source, 0.3):
            list(source.items())
        assert time.monotonic() - started < 2.0
    assert source.state is SourceState.ENDED


def test_a_silent_camera_is_down_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        options = SourceOptions(timeout_s=0.5, retry_min_s=0.05)
        source = open_source(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", options)
        states: list[tuple[SourceState, str]] = []

        def close_when_down(state: SourceState, detail: str) -> None:
            states.append((state, detail))
            if state is SourceState.DOWN:
                source.close()

        source.on_state = close_when_down
        with close_after(source, DEADLINE_S):
            list(source.items())
    assert (SourceState.DOWN, "no data for 0.5 s") in states


def test_a_stream_joined_long_before_its_next_key_frame_is_probed_longer(tmp_path: Path) -> None:
    """MPEG-TS carries parameter sets at key frames only; here the next comes after 1.5 s."""
    options = {"g": "50", "bf": "0", "sc_threshold": "0"}
    data = write_video(tmp_path / "live.ts", SCENE * 6, **options).read_bytes()
    late = data[len(data) // 24 // 188 * 188 :]
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve_slowly, args=(server, late, 6.0), daemon=True).start()
        source = open_source(f"tcp://127.0.0.1:{server.getsockname()[1]}", QUICK)
        states = record_states(source)
        infos = []
        with close_after(source, DEADLINE_S):
            for item in source.items():
                if isinstance(item, StreamInfo):
                    infos.append(item)
                    source.close()
    assert [(info.width, info.height) for info in infos] == [(320, 240)]
    assert any("no picture size" in detail for _, detail in states)


def serve_slowly(server: socket.socket, data: bytes, seconds: float) -> None:
    """Send each client the data from its start, spread over `seconds`."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=send_slowly, args=(client, data, seconds), daemon=True).start()


def send_slowly(client: socket.socket, data: bytes, seconds: float) -> None:
    steps = round(seconds * 20)
    size = len(data) // steps + 1
    with client, suppress(OSError):
        for at in range(0, len(data), size):
            client.sendall(data[at : at + size])
            time.sleep(seconds / steps)


def test_a_slow_consumer_gets_every_packet(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", SCENE).read_bytes()
    with web_camera(video) as url:
        source = open_source(f"{url}/video.mp4", QUICK)
        count = 0
        with close_after(source, DEADLINE_S):
            for item in source.items():
                count += isinstance(item, Packet)
                time.sleep(0.02)
    assert count == 25
