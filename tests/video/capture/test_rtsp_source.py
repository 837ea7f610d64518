"""Real RTSP, real trouble: a camera that refuses, dies, freezes, and comes back."""

import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cluster.rtsp_server import RtspServer, available_transport
from codecsight.core.errors import CodecSightError
from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.source import Source, SourceOptions, SourceState, open_source
from codecsight.video.codec.decoder import Decoder
from tests.video.scenes import moving_square, write_video

pytestmark = [
    pytest.mark.rtsp,
    pytest.mark.skipif(
        available_transport() is None,
        reason="no RTSP server: pip install rtsp-rs, or GStreamer's (see cluster/rtsp_server.py)",
    ),
]

RATE = 10
PATIENCE = 40.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a square going to and fro, ten frames and one key frame a second."""
    there = moving_square(30, (4, 0), (8, 80))
    path = tmp_path_factory.mktemp("rtsp") / "camera.mp4"
    options = {"g": "10", "bf": "0", "preset": "ultrafast"}
    return write_video(path, [*there, *there[::-1]] * 10, rate=RATE, **options)


@pytest.fixture
def server(film: Path) -> Iterator[RtspServer]:
    with RtspServer(film, free_port()) as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def camera(server: RtspServer, path: str = "/stream") -> Source:
    return open_source(
        server.url.replace("/stream", path),
        SourceOptions(
            transport=server.transport,
            timeout_s=2.0,
            stall_s=0.5,
            retry_min_s=0.1,
            retry_max_s=0.3,
        ),
    )


class Watch:
    """Follows a source: its states, packets and frames, acting at chosen moments."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.states: list[tuple[SourceState, str]] = []
        self.infos = 0
        self.packets: list[Packet] = []
        self.frames: list[Frame] = []
        source.on_state = self._told
        self._on_state: dict[SourceState, Callable[[], object]] = {}

    def when(self, state: SourceState, act: Callable[[], object]) -> None:
        """Do `act` the next time the source enters `state`."""
        self._on_state[state] = act

    def follow(self, until: Callable[["Watch"], bool]) -> None:
        """Consume until so; fail after PATIENCE."""
        timer = threading.Timer(PATIENCE, self.source.close)
        timer.start()
        decoder = None
        for item in self.source.items():
            if isinstance(item, StreamInfo):
                decoder = Decoder(item)
                self.infos += 1
            elif decoder is not None:
                self.packets.append(item)
                self.frames += decoder.decode(item)
            if until(self):
                self.source.close()
        assert timer.is_alive(), f"not within {PATIENCE} s: {self.states}"
        timer.cancel()

    def _told(self, state: SourceState, detail: str) -> None:
        self.states.append((state, detail))
        self._on_state.pop(state, lambda: None)()


def test_a_camera_is_watched_with_motion_and_times(server: RtspServer) -> None:
    watch = Watch(camera(server))
    watch.follow(lambda w: len(w.frames) >= 20)
    assert watch.states[0][0] is SourceState.LIVE
    assert watch.states[-1][0] is SourceState.ENDED
    moving = [f.signals.motion for f in watch.frames if f.signals.frame_type == "P"]
    assert moving
    assert any(motion is not None and abs(motion).max() > 2 for motion in moving)
    steps = [b.time - a.time for a, b in pairwise(watch.frames)]
    assert sorted(steps)[len(steps) // 2] == pytest.approx(1 / RATE, abs=0.01)


def test_a_wrong_path_is_down_with_the_servers_answer(server: RtspServer) -> None:
    if server.transport == "udp":
        pytest.skip("rtsp-rs serves the same stream at every path")
    source = camera(server, "/other")
    watch = Watch(source)
    watch.when(SourceState.DOWN, source.close)
    watch.follow(lambda _: False)
    assert watch.states[0][0] is SourceState.DOWN
    assert "404" in watch.states[0][1]


def test_a_killed_camera_is_down_and_watched_again_when_it_is_back(server: RtspServer) -> None:
    watch = Watch(camera(server))

    def back() -> None:
        threading.Timer(1.0, server.start).start()

    def progress(w: Watch) -> bool:
        if len(w.packets) == 15 and w.infos == 1:
            server.kill()
            w.when(SourceState.DOWN, back)
        return w.infos == 2 and len(w.packets) >= 40

    watch.follow(progress)
    seen = [state for state, _ in watch.states]
    assert SourceState.DOWN in seen
    assert any("refused" in detail for _, detail in watch.states)
    assert seen[-2:] == [SourceState.LIVE, SourceState.ENDED]
    times = [frame.time for frame in watch.frames]
    assert times == sorted(set(times))
    assert watch.source.anomalies["connections lost or refused"] >= 1


def test_a_frozen_camera_is_stalled_then_down_then_back(server: RtspServer) -> None:
    watch = Watch(camera(server))

    def progress(w: Watch) -> bool:
        if len(w.packets) == 15 and w.infos == 1:
            w.when(SourceState.DOWN, server.resume)
            server.suspend()
        return w.infos >= 2 and w.states[-1][0] is SourceState.LIVE

    watch.follow(progress)
    seen = [state for state, _ in watch.states]
    assert seen.index(SourceState.STALLED) < seen.index(SourceState.DOWN)
    assert "silent for 2 s" in [detail for _, detail in watch.states]
    times = [packet.time for packet in watch.packets if packet.time is not None]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_taken_port_is_a_clear_error(server: RtspServer, film: Path) -> None:
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(CodecSightError, match=f":{port}/stream"), RtspServer(film, port):
        pass
