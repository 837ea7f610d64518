"""Three cameras on one simulated line: how far behind they are, and what is lost, as it thins."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from codecsight.core.chunk import Chunk
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.flow_control import FlowControl
from codecsight.uplink.messages import Ack, CloudMessage, Dropped, Heartbeat, Welcome
from codecsight.uplink.quality_control import QualityControl
from tests.uplink.chunks import SPEC, STREAM, anchor, delta

STEP_S = 0.05
DELAY_S = 0.05  # propagation, each way
SLOT_S = 1.0
ANCHOR_EVERY = 4
CAMERAS = 3
ANCHOR = replace(anchor(), mosaic=bytes(24_000))
DELTA = replace(delta(), mosaic=bytes(2_000))
"""At quality 90. Together 30 kB every 4 s and camera: 22.5 kB/s for three."""
SIZES = {90: 1.0, 75: 0.61, 60: 0.46, 45: 0.38, 30: 0.29}
"""Bytes of a JPEG of camera pictures by quality, relative to 90."""
CREDITS = 2 << 20
HEARTBEAT_S = 5.0


@dataclass
class Camera:
    """One stream's edge, and when each of its slots was offered and acknowledged."""

    edge: EdgeLink
    phase: float
    offered: dict[int, float] = field(default_factory=dict)
    lags: list[tuple[float, float]] = field(default_factory=list)
    slots: int = 0


class Line:
    """A first-in, first-out line that carries `rate(now)` bytes a second for all cameras."""

    def __init__(self, rate: Callable[[float], float]) -> None:
        self.now, self._rate, self._budget = 0.0, rate, 0.0
        self._queue: deque[tuple[Camera, Chunk | Heartbeat]] = deque()
        self._arriving: deque[tuple[float, Camera, CloudMessage]] = deque()
        self.cameras = [self._camera(number) for number in range(CAMERAS)]

    def _camera(self, number: int) -> Camera:
        edge = EdgeLink("north", STREAM, "test", start_seq=100)
        edge.connect(640, 360, 0.0)
        edge.receive(Welcome(5, 100, True, CREDITS, HEARTBEAT_S, SPEC), 0.0)
        edge.take_anchor_request()
        return Camera(edge, number / CAMERAS)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            for camera in self.cameras:
                self._offer(camera)
                for item in camera.edge.take_outgoing(self.now):
                    if not isinstance(item, Dropped):
                        self._queue.append((camera, item))
                if (beat := camera.edge.heartbeat(self.now, self.now, None)) is not None:
                    self._queue.append((camera, beat))
            self._carry()
            while self._arriving and self._arriving[0][0] <= self.now:
                _, camera, message = self._arriving.popleft()
                camera.edge.receive(message, self.now)
                if isinstance(message, Ack):
                    camera.lags.append((self.now, self.now - camera.offered[message.seq]))

    def _offer(self, camera: Camera) -> None:
        if self.now < camera.slots * SLOT_S + camera.phase:
            return
        whole = camera.edge.take_anchor_request() or camera.slots % ANCHOR_EVERY == 0
        camera.offered[100 + camera.slots] = self.now
        chunk = ANCHOR if whole else DELTA
        size = int(len(chunk.mosaic) * SIZES[camera.edge.quality])
        camera.edge.offer(replace(chunk, mosaic=chunk.mosaic[:size]), self.now)
        camera.slots += 1

    def _carry(self) -> None:
        self._budget = min(self._budget + self._rate(self.now) * STEP_S, 60_000.0)
        while self._queue and _size(self._queue[0][1]) <= self._budget:
            camera, item = self._queue.popleft()
            self._budget -= _size(item)
            reply = Ack(5, item.seq, CREDITS) if isinstance(item, Chunk) else item
            self._arriving.append((self.now + 2 * DELAY_S, camera, reply))
        if not self._queue:
            self._budget = 0.0

    def worst_lag(self, since: float) -> float:
        """The largest age at which a slot was acknowledged, from a moment on."""
        return max(lag for camera in self.cameras for at, lag in camera.lags if at >= since)

    @property
    def dropped(self) -> int:
        return sum(camera.edge.dropped_count for camera in self.cameras)


def _size(item: Chunk | Heartbeat) -> int:
    return item.size if isinstance(item, Chunk) else 50


def test_a_line_with_room_delivers_every_slot_at_once() -> None:
    line = Line(lambda _: 1e6)
    line.run(60)
    assert line.dropped == 0
    assert line.worst_lag(5) < 0.3


@pytest.mark.parametrize(("rate", "worst_s"), [(20_000, 5), (12_000, 12), (6_000, 14)])
def test_a_thin_line_carries_smaller_slots_and_stays_a_few_seconds_behind(
    rate: float, worst_s: float
) -> None:
    line = Line(lambda _: rate)
    line.run(300)
    assert line.worst_lag(60) < worst_s
    assert min(camera.edge.quality for camera in line.cameras) < 90
    delivered = [sum(at > 60 for at, _ in camera.lags) for camera in line.cameras]
    assert min(delivered) > 0.5 * max(delivered), "none starves"


def test_without_flow_control_the_same_line_is_half_a_minute_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FlowControl, "_adjust", lambda *_: None)
    monkeypatch.setattr(FlowControl, "must_skip", lambda *_: False)
    monkeypatch.setattr(QualityControl, "observe", lambda *_: None)
    monkeypatch.setattr("codecsight.uplink.flow_control.FIRST_WINDOW", CREDITS)
    line = Line(lambda _: 12_000)
    line.run(300)
    assert line.worst_lag(60) > 25


@pytest.mark.parametrize("thin", [6_000.0, 12_000.0])
def test_ten_seconds_after_the_line_recovers_every_slot_is_delivered_at_once(thin: float) -> None:
    line = Line(lambda now: thin if now < 120 else 1e6)
    line.run(130)
    dropped = line.dropped
    assert dropped > 0
    line.run(10)
    assert {camera.edge.quality for camera in line.cameras} == {90}
    line.run(50)
    assert line.dropped == dropped
    assert line.worst_lag(130.5) < 0.5


def test_a_short_cut_of_a_good_line_loses_nothing() -> None:
    line = Line(lambda now: 0.0 if 30 < now < 38 else 1e6)
    line.run(60)
    assert line.dropped == 0
    assert line.worst_lag(40) < 0.5


def test_every_slot_is_acknowledged_or_reported_as_dropped() -> None:
    line = Line(lambda now: 8_000 if now < 60 else 1e6)
    line.run(100)
    for camera in line.cameras:
        assert camera.slots - 1 <= len(camera.lags) + camera.edge.dropped_count <= camera.slots


def test_a_slow_worker_behind_a_good_line_lowers_no_quality_and_skips_nothing() -> None:
    line = Line(lambda _: 1e6)
    edge = line.cameras[0].edge
    for second in range(60):
        now = float(second)
        edge.offer(ANCHOR if second % ANCHOR_EVERY == 0 else DELTA, now)
        edge.take_outgoing(now)
        if edge.heartbeat(now, now, None) is not None:
            edge.receive(Heartbeat(now, None), now + 0.1)
        if second >= 6:
            edge.receive(Ack(5, 100 + second - 6, CREDITS), now)
    assert edge.lag_s(60.0) >= 6
    assert (edge.quality, edge.dropped_count) == (90, 0)
