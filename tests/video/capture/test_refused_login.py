"""Wrong passwords: how often a camera sees them, and what the user is told."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from codecsight.video.capture.failure import RetryDelays
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import Source, SourceError, SourceOptions, SourceState
from codecsight.video.probe import probe
from tests.video.capture.rtsp_stub import RtspStub, rtsp_stub

QUICK = SourceOptions(timeout_s=3.0, stall_s=0.5, retry_min_s=0.02, retry_max_s=0.05)
LOGIN = "admin:Geheim7@"


@contextmanager
def web_stub(status: int) -> Iterator[tuple[str, list[str]]]:
    """A web camera that refuses every login; yields HOST:PORT/PATH and the logins it got."""
    logins: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if given:
                logins.append(base64.b64decode(given.split()[1]).decode())
            self.send_response(status if given else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="cam"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}/snapshot.jpg", logins
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def states_for(source: Source, seconds: float) -> list[tuple[SourceState, str]]:
    states: list[tuple[SourceState, str]] = []
    source.on_state = lambda state, detail: states.append((state, detail))
    timer = threading.Timer(seconds, source.close)
    timer.start()
    assert list(source.items()) == []
    timer.cancel()
    return states


@pytest.mark.parametrize("scheme", ["Digest", "Basic"])
def test_doctor_logs_in_once_and_ends(scheme: str) -> None:
    with rtsp_stub(RtspStub(scheme=scheme)) as camera:
        with pytest.raises(SourceError, match=r"login refused \(401\)") as caught:
            probe(f"rtsp://{LOGIN}{camera.url}", 1.0)
        assert camera.logins == 1
    assert "Geheim7" not in str(caught.value)
    assert f"rtsp://***@{camera.url}" in str(caught.value)


@pytest.mark.parametrize(("status", "words"), [(401, "login refused"), (403, "access denied")])
def test_doctor_logs_in_once_over_http_too(status: int, words: str) -> None:
    with web_stub(status) as (address, logins):
        with pytest.raises(SourceError, match=words) as caught:
            probe(f"http://{LOGIN}{address}", 1.0)
        assert logins == ["admin:Geheim7"]
    assert "Geheim7" not in str(caught.value)


def test_a_refused_login_waits_minutes_and_says_so() -> None:
    with rtsp_stub(RtspStub()) as camera:
        states = states_for(open_source(f"rtsp://{LOGIN}{camera.url}", QUICK), 0.6)
        assert camera.logins == 1, "other failures are retried after 0.05 s"
    details = [detail for state, detail in states if state is SourceState.DOWN]
    assert len(details) == 1
    assert "check user name and password; next attempt in 5 min" in details[0]
    assert "lock" in details[0]


def test_a_camera_that_denies_access_is_tried_as_rarely() -> None:
    with rtsp_stub(RtspStub(refuses=403)) as camera:
        states = states_for(open_source(f"rtsp://{LOGIN}{camera.url}", QUICK), 0.6)
        assert camera.logins == 1
    assert any("403" in detail and "next attempt in 5 min" in detail for _, detail in states)


def test_the_challenge_before_a_login_is_no_failure() -> None:
    """The server answers 401 to the first request of every connection, then refuses for another
    reason: these are retried as usual.
    """
    with rtsp_stub(RtspStub(refuses=404)) as camera:
        states = states_for(open_source(f"rtsp://{LOGIN}{camera.url}", QUICK), 0.8)
        assert camera.connections >= 3
    assert any("404" in detail for _, detail in states)
    assert not any("login" in detail for _, detail in states)


def test_login_delays_double_up_to_an_hour_and_start_again_after_a_connection() -> None:
    delays = RetryDelays(SourceOptions())
    assert [delays.after_refused_login() / 60 for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    delays.connected()
    assert delays.after_refused_login() == 300
    assert delays.after_failure(0.0) <= 0.5


@pytest.mark.parametrize(("transport", "other"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_refused_transport_names_the_other_one(transport: str, other: str) -> None:
    options = SourceOptions(transport="udp" if transport == "udp" else "tcp", timeout_s=3.0)
    with rtsp_stub(RtspStub(needs_login=False)) as camera:
        states = states_for(open_source(f"rtsp://{camera.url}", options), 0.5)
    assert any(f"use --transport {other}" in detail for _, detail in states)
