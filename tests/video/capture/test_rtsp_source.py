"""RTSP with a real server: wrong paths, lost and frozen cameras, and reconnection."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cluster.ports import free_port
from cluster.rtsp.server import RtspServer, available_transport
from codecsight.core.errors import CodecSightError
from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import Source, SourceOptions, SourceState
from codecsight.video.codec.decoder import Decoder
from tests.video.scenes import moving_square, write_video

pytestmark = [
    pytest.mark.rtsp,
    pytest.mark.skipif(
        available_transport() is None,
        reason="no RTSP server: pip install rtsp-rs, or GStreamer's (see cluster/rtsp/server.py)",
    ),
]

RATE = 10
DEADLINE_S = 40.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a square moving back and forth, with 10 frames and a key frame per second."""
    forward = moving_square(30, (4, 0), (8, 80))
    path = tmp_path_factory.mktemp("rtsp") / "camera.mp4"
    options = {"g": "10", "bf": "0", "preset": "ultrafast"}
    return write_video(path, [*forward, *forward[::-1]] * 10, rate=RATE, **options)


@pytest.fixture
def server(video: Path) -> Iterator[RtspServer]:
    with RtspServer(video, free_port()) as server:
        yield server


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


class Consumer:
    """Consumes a source; collects its states, packets and frames, and runs actions on states."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.states: list[tuple[SourceState, str]] = []
        self.infos = 0
        self.packets: list[Packet] = []
        self.frames: list[Frame] = []
        source.on_state = self._on_change
        self._on_state: dict[SourceState, Callable[[], object]] = {}

    def on(self, state: SourceState, action: Callable[[], object]) -> None:
        """Call `action` the next time the source enters `state`."""
        self._on_state[state] = action

    def run(self, until: Callable[["Consumer"], bool]) -> None:
        """Consume until `until` returns True; fail after DEADLINE_S."""
        timer = threading.Timer(DEADLINE_S, self.source.close)
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
        assert timer.is_alive(), f"not within {DEADLINE_S} s: {self.states}"
        timer.cancel()

    def _on_change(self, state: SourceState, detail: str) -> None:
        self.states.append((state, detail))
        self._on_state.pop(state, lambda: None)()


def test_a_stream_has_motion_and_timestamps(server: RtspServer) -> None:
    consumer = Consumer(camera(server))
    consumer.run(lambda w: len(w.frames) >= 20)
    assert consumer.states[0][0] is SourceState.LIVE
    assert consumer.states[-1][0] is SourceState.ENDED
    moving = [f.signals.motion for f in consumer.frames if f.signals.frame_type == "P"]
    assert moving
    assert any(motion is not None and abs(motion).max() > 2 for motion in moving)
    steps = [b.time - a.time for a, b in pairwise(consumer.frames)]
    assert sorted(steps)[len(steps) // 2] == pytest.approx(1 / RATE, abs=0.01)


def test_a_wrong_path_is_down_with_the_servers_status(server: RtspServer) -> None:
    if server.transport == "udp":
        pytest.skip("rtsp-rs serves the same stream at every path")
    source = camera(server, "/other")
    consumer = Consumer(source)
    consumer.on(SourceState.DOWN, source.close)
    consumer.run(lambda _: False)
    assert consumer.states[0][0] is SourceState.DOWN
    assert "404" in consumer.states[0][1]


def test_a_killed_camera_is_down_and_reconnected_after_its_restart(server: RtspServer) -> None:
    consumer = Consumer(camera(server))

    def restart() -> None:
        threading.Timer(1.0, server.start).start()

    def progress(w: Consumer) -> bool:
        if len(w.packets) == 15 and w.infos == 1:
            server.kill()
            w.on(SourceState.DOWN, restart)
        return w.infos == 2 and len(w.packets) >= 40

    consumer.run(progress)
    states = [state for state, _ in consumer.states]
    assert SourceState.DOWN in states
    assert any("refused" in detail for _, detail in consumer.states)
    assert states[-2:] == [SourceState.LIVE, SourceState.ENDED]
    times = [frame.time for frame in consumer.frames]
    assert times == sorted(set(times))
    assert consumer.source.anomalies["connections lost or refused"] >= 1


def test_a_frozen_camera_is_stalled_then_down_then_live(server: RtspServer) -> None:
    consumer = Consumer(camera(server))

    def progress(w: Consumer) -> bool:
        if len(w.packets) == 15 and w.infos == 1:
            w.on(SourceState.DOWN, server.resume)
            server.suspend()
        return w.infos >= 2 and w.states[-1][0] is SourceState.LIVE

    consumer.run(progress)
    states = [state for state, _ in consumer.states]
    assert states.index(SourceState.STALLED) < states.index(SourceState.DOWN)
    assert "no data for 2 s" in [detail for _, detail in consumer.states]
    times = [packet.time for packet in consumer.packets if packet.time is not None]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_port_in_use_is_reported_by_address(server: RtspServer, video: Path) -> None:
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(CodecSightError, match=f":{port}/stream"), RtspServer(video, port):
        pass
