import math
from collections import Counter

import av
import numpy as np
import pytest

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceError, SourceOptions, SourceState
from codecsight.world import Renderer
from codecsight.world.source import WorldCamera, WorldSource


def packets_of(url: str, max_packets: int = 10_000) -> tuple[StreamInfo, list[Packet]]:
    source = open_source(url)
    items = source.items()
    info = next(items)
    assert isinstance(info, StreamInfo)
    packets = []
    for item in items:
        assert isinstance(item, Packet)
        packets.append(item)
        if len(packets) == max_packets:
            source.close()
    assert source.state is SourceState.ENDED
    return info, packets


def decoded(info: StreamInfo, packets: list[Packet]) -> list[av.VideoFrame]:
    context = av.CodecContext.create(info.codec, "r")
    context.extradata = info.extradata
    frames = []
    for packet in packets:
        coded = av.Packet(packet.data)
        coded.pts, coded.dts, coded.time_base = packet.pts, packet.dts, packet.time_base
        frames += context.decode(coded)
    return [*frames, *context.decode(None)]


def test_a_recording_has_the_requested_length_rate_and_key_frames() -> None:
    info, packets = packets_of("world://yard?seed=3&fps=8&width=160&height=120&gop=10&seconds=3")
    assert (info.width, info.height, info.rate) == (160, 120, 8)
    assert len(packets) == 24
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 10, 20]
    assert [packet.time for packet in packets] == pytest.approx([n / 8 for n in range(24)])


@pytest.mark.parametrize("b_frames", [0, 2])
def test_decoded_frames_show_the_scene_at_their_time(b_frames: int) -> None:
    url = f"world://street?seed=5&fps=10&width=160&height=120&seconds=2&b_frames={b_frames}"
    camera = WorldCamera.parse(url)
    renderer = Renderer(camera.scene, 160, 120)
    frames = decoded(*packets_of(url))
    assert len(frames) == 20
    for number, frame in enumerate(frames):
        expected = renderer.frame(number / 10).astype(float)
        error = np.abs(frame.to_ndarray(format="rgb24") - expected).mean()
        assert error < 6


def test_the_same_url_gives_the_same_bytes() -> None:
    url = "world://hall?seed=9&width=160&height=120&seconds=1"
    first, second = ([packet.data for packet in packets_of(url)[1]] for _ in "ab")
    assert first == second


def test_noise_and_incidents_come_from_the_url() -> None:
    assert WorldCamera.parse("world://night?noise=0").scene.noise == 0
    assert WorldCamera.parse("world://night?incidents=0.7").scene.incident_rate == 0.7
    assert WorldCamera.parse("world://night").scene.noise > 0


def test_an_endless_camera_runs_in_real_time_until_closed() -> None:
    _, packets = packets_of("world://yard?width=64&height=64&fps=20", max_packets=10)
    elapsed = packets[-1].capture_time - packets[0].capture_time
    assert elapsed >= packets[-1].time - packets[0].time - 0.05


def test_a_live_camera_that_cannot_keep_up_drops_and_counts_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = WorldCamera.parse("world://yard?width=64&height=64&fps=10&seconds=4")
    source = WorldSource(camera, SourceOptions(paced=True))
    clock = iter(float(n) / 2 for n in range(10_000))
    monkeypatch.setattr("codecsight.world.source.time.monotonic", lambda: next(clock))
    packets = [item for item in source.items() if isinstance(item, Packet)]
    assert len(packets) < 40
    assert len(packets) + source.anomalies["frames dropped"] >= 40
    assert source.anomalies == Counter({"frames dropped": source.anomalies.total()})


@pytest.mark.parametrize(
    ("url", "mentioned"),
    [
        ("world://moon", "moon"),
        ("world://yard?fps=0", "fps"),
        ("world://yard?fps=many", "many"),
        ("world://yard?width=641", "multiple of 2"),
        ("world://yard?sped=3", "sped"),
        ("world://yard?codec=theora", "h264"),
        (f"world://yard?seconds={math.inf}", "seconds"),
    ],
)
def test_an_invalid_url_is_refused_with_the_reason(url: str, mentioned: str) -> None:
    with pytest.raises(SourceError, match=mentioned):
        open_source(url)
