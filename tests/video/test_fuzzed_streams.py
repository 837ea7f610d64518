"""A hundred damaged recordings: none may crash, hang, or pass unnoticed for long."""

import time

import numpy as np
import pytest

from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import SlotKind
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from tests.video.scenes import moving_square

SPEC = GridSpec(cell=16, frames=2, rate=2.0, max_cells=48)
LONGEST_S = 20.0
Stream = tuple[StreamInfo, list[Packet]]


@pytest.fixture(scope="module", params=["h264", "mpeg4", "mjpeg"])
def stream(request: pytest.FixtureRequest) -> Stream:
    encoder = CameraEncoder(320, 240, 10, EncoderProfile(request.param, gop=15))
    pictures = moving_square(60, (4, 0), (8, 80))
    packets = [p for n, shown in enumerate(pictures) for p in encoder.encode(shown, n / 10, n / 10)]
    return encoder.info, packets + encoder.flush()


def replaced(packet: Packet, **changes: object) -> Packet:
    values = {name: getattr(packet, name) for name in Packet.__slots__}
    return Packet(**{**values, **changes})  # type: ignore[arg-type]


def flipped(packet: Packet, rng: np.random.Generator) -> Packet:
    data = np.frombuffer(packet.data, np.uint8).copy()
    at = rng.integers(0, len(data), max(1, len(data) // 200))
    data[at] ^= rng.integers(1, 255, len(at)).astype(np.uint8)
    return replaced(packet, data=data.tobytes())


def damaged(packets: list[Packet], rng: np.random.Generator) -> list[Packet]:
    """Packets with bits flipped, cut short, left out, doubled, or put in another order."""
    result: list[Packet] = []
    for packet in packets:
        fate = rng.random()
        if fate < 0.05:
            result.append(flipped(packet, rng))
        elif fate < 0.10:
            result.append(replaced(packet, data=packet.data[: int(rng.integers(0, 40))]))
        elif fate < 0.15:
            continue
        else:
            result += [packet, packet] if fate < 0.18 else [packet]
    if len(result) > 3 and rng.random() < 0.5:
        at = int(rng.integers(1, len(result) - 1))
        result[at], result[at + 1] = result[at + 1], result[at]
    return result


def watch(info: StreamInfo, packets: list[Packet]) -> tuple[CameraPipeline, list[SlotKind]]:
    camera, kinds = CameraPipeline(SPEC, "tracked", 8), []
    for item in (info, *packets):
        kinds += [slot.kind for slot in camera.feed(item)]
    kinds += [slot.kind for slot in camera.flush()]
    return camera, kinds


@pytest.mark.parametrize("batch", range(4))
def test_fuzzed_recordings_are_survived_in_bounded_time(stream: Stream, batch: int) -> None:
    info, packets = stream
    began = time.monotonic()
    recovered = counted = 0
    for seed in range(9):
        rng = np.random.default_rng(100 * batch + seed)
        camera, kinds = watch(info, damaged(packets, rng))
        assert camera.counters.frames <= 2 * len(packets)
        assert kinds[:1] in ([], [SlotKind.ANCHOR])
        assert camera.tracker is not None
        recovered += camera.tracker.counters.anchors["recovered"] > 0
        counted += sum(camera.counters.anomalies.values()) > 0
    assert counted >= 8  # of nine, one may be whole by chance
    assert recovered >= 3 or info.codec == "mjpeg"  # there every picture heals
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("jump", [1 << 33, -(1 << 33), 90_000 * 3600, -900_000])
def test_timestamps_that_jump_wrap_or_run_backwards_lose_no_later_slot(
    stream: Stream, jump: int
) -> None:
    info, packets = stream
    later = [replaced(p, pts=(p.pts or 0) + jump, dts=(p.dts or 0) + jump) for p in packets[30:]]
    camera, kinds = watch(info, packets[:30] + later)
    assert camera.counters.frames == len(packets)
    assert kinds.count(SlotKind.ANCHOR) >= 1
    assert sum(camera.counters.anomalies.values()) > 0 or len(kinds) >= 4


def test_a_new_resolution_in_the_middle_begins_with_an_anchor(stream: Stream) -> None:
    info, packets = stream
    encoder = CameraEncoder(160, 120, 10, EncoderProfile("h264", gop=15))
    small = [picture[::2, ::2].copy() for picture in moving_square(30, (4, 0), (8, 80))]
    smaller = [p for n, shown in enumerate(small) for p in encoder.encode(shown, 6 + n / 10, 0.0)]
    camera, kinds = CameraPipeline(SPEC, "tracked", 100), []
    for item in (info, *packets, encoder.info, *smaller):
        kinds += [slot.kind for slot in camera.feed(item)]
    assert kinds.count(SlotKind.ANCHOR) >= 2
    assert kinds[6] is SlotKind.ANCHOR
