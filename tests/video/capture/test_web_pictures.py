"""Web cameras: still pictures that are polled, and series of JPEGs without a first boundary."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceOptions, SourceState
from codecsight.video.codec.decoder import Decoder
from codecsight.video.probe import probe
from codecsight.video.recording.recorder import Recorder
from tests.video.scenes import moving_square

SCENE = moving_square(25, (4, 0), (8, 80))
OPTIONS = SourceOptions(timeout_s=2.0, stall_s=0.5, retry_min_s=0.05, retry_max_s=0.2, poll_s=0.1)
DEADLINE_S = 20.0


def jpeg(number: int, size: tuple[int, int] | None = None) -> bytes:
    picture = Image.fromarray(SCENE[number % len(SCENE)])
    written = io.BytesIO()
    (picture.resize(size) if size else picture).save(written, "JPEG")
    return written.getvalue()


class WebCamera(BaseHTTPRequestHandler):
    """Snapshots at /snapshot, without their length at /unsized, failing at times at /flaky, of
    another size later on at /resized, refused later on at /revoked, and a web page at /page.
    Series of pictures without a first boundary at /bare, without boundary and header at /headless.
    """

    served = 0

    def do_GET(self) -> None:
        number = type(self).served
        type(self).served += 1
        match self.path:
            case "/bare" | "/headless":
                with suppress(OSError):
                    self._series(header=self.path == "/bare")
            case "/flaky" if number % 3 == 1:
                self._send(503, "text/plain", b"busy")
            case "/revoked" if number > 2:
                self._send(401, "text/plain", b"")
            case "/page":
                self._send(200, "text/html", b"<html>log in</html>" * 100)
            case _:
                size = (200, 120) if self.path == "/resized" and number > 2 else None
                self._send(200, "image/jpeg", jpeg(number, size))

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _series(self, *, header: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(1000):
            picture = jpeg(number)
            if number:
                self.wfile.write(b"--frame\r\n")
            if number or header:
                length = len(picture)
                self.wfile.write(b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % length)
            self.wfile.write(picture + b"\r\n")
            time.sleep(0.05)


@contextmanager
def web_camera() -> Iterator[tuple[str, type[WebCamera]]]:
    handler = type("Handler", (WebCamera,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Received:
    """What a source gave until `enough` returned True."""

    def __init__(self, url: str, enough: Callable[["Received"], bool]) -> None:
        self.infos: list[StreamInfo] = []
        self.packets: list[Packet] = []
        self.frames: list[Frame] = []
        self.states: list[tuple[SourceState, str]] = []
        self.anomalies: dict[str, int] = {}
        source = open_source(url, OPTIONS)

        def on_state(state: SourceState, detail: str) -> None:
            self.states.append((state, detail))
            if enough(self):
                source.close()

        source.on_state = on_state
        timer = threading.Timer(DEADLINE_S, source.close)
        timer.start()
        decoder: Decoder | None = None
        for item in source.items():
            if isinstance(item, StreamInfo):
                decoder = Decoder(item)
                self.infos.append(item)
            elif decoder is not None:
                self.packets.append(item)
                self.frames += decoder.decode(item)
                self.anomalies |= decoder.anomalies
            if enough(self):
                source.close()
        assert timer.is_alive(), f"not within {DEADLINE_S} s: {self.states}"
        timer.cancel()

    @property
    def details(self) -> list[str]:
        return [detail for _, detail in self.states]


@pytest.mark.parametrize("path", ["snapshot", "unsized"])
def test_a_still_picture_is_fetched_again_and_again(path: str) -> None:
    started = time.time()
    with web_camera() as (url, camera):
        got = Received(f"{url}/{path}", lambda g: len(g.packets) == 6)
        assert camera.served <= 8, "one request for a picture, at first two without its length"
    assert len(got.infos) == 1
    assert got.packets[0].data in (jpeg(0), jpeg(1))
    assert len({packet.data for packet in got.packets}) == 6
    assert all(packet.keyframe for packet in got.packets)
    steps = [later.time - earlier.time for earlier, later in pairwise(got.frames)]
    assert all(step > 0 for step in steps)
    assert sum(steps) > 0.3, "five intervals of 0.1 s, as they arrived"
    stepped = got.frames[-1].time - got.frames[0].time
    passed = got.packets[-1].capture_time - got.packets[0].capture_time
    assert stepped == pytest.approx(passed, abs=0.2)
    assert started <= got.packets[0].capture_time <= time.time()
    assert {state for state, _ in got.states} == {SourceState.LIVE, SourceState.ENDED}
    assert "a still picture, fetched every 0.1 s" in got.details


def test_a_fetch_that_fails_is_made_up_for_by_the_next() -> None:
    with web_camera() as (url, _):
        got = Received(f"{url}/flaky", lambda g: len(g.packets) == 5)
    assert len(got.infos) == 1
    assert SourceState.DOWN not in [state for state, _ in got.states]


def test_a_picture_of_another_size_starts_a_new_recording() -> None:
    with web_camera() as (url, _):
        got = Received(f"{url}/resized", lambda g: len(g.infos) == 2 and len(g.frames) >= 5)
    assert [(info.width, info.height) for info in got.infos][1] == (200, 120)
    assert (got.frames[-1].width, got.frames[-1].height) == (200, 120)


def test_a_login_that_is_revoked_is_not_tried_at_every_picture() -> None:
    with web_camera() as (url, camera):
        got = Received(f"{url}/revoked", lambda g: any("login" in detail for detail in g.details))
        assert camera.served == 4
    assert len(got.packets) == 3
    assert "next attempt in 5 min" in got.details[-2]


def test_doctor_says_that_a_still_picture_is_polled() -> None:
    with web_camera() as (url, _):
        report = probe(f"{url}/snapshot", 0.5, OPTIONS)
    assert report.polled_s == 0.1
    assert report.frames >= 3
    assert report.declared_fps == 0
    assert "still picture, which is fetched every 0.1 s" in report.advice[0]


def test_still_pictures_are_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "yard.gate", 0.3)
    with web_camera() as (url, _):
        got = Received(f"{url}/snapshot", lambda g: len(g.packets) == 8)
    for item in (got.infos[0], *got.packets):
        recorder.write(item)
    recorder.close()
    assert recorder.stats.segments >= 2
    recorded = []
    for path in sorted(tmp_path.rglob("*.mkv")):
        with av.open(path) as container:
            recorded += [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert recorded == [packet.data for packet in got.packets]


def test_a_web_page_is_not_taken_for_video() -> None:
    with web_camera() as (url, _):
        source = open_source(f"{url}/page", OPTIONS)
        details: list[str] = []

        def on_state(_: SourceState, detail: str) -> None:
            details.append(detail)
            if detail:
                source.close()

        source.on_state = on_state
        assert list(source.items()) == []
    assert "neither video nor a picture" in details[0]


@pytest.mark.parametrize("path", ["bare", "headless"])
def test_a_series_without_a_first_boundary_is_read_as_pictures(path: str) -> None:
    with web_camera() as (url, _):
        got = Received(f"{url}/{path}", lambda g: len(g.frames) == 30)
    assert {packet.data for packet in got.packets[:5]} <= {jpeg(number) for number in range(25)}
    assert got.anomalies == {}
    assert got.frames[-1].time - got.frames[-10].time > 0.2, "timed by arrival"
    assert got.details == ["", ""]
