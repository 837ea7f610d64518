"""CameraPipeline on cameras that send fewer pictures than are sampled."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Slot, SlotKind
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import decode_stream
from tests.video.scenes import Picture, encode, moving_square, texture

SCENE = moving_square(20, (8, 0), (8, 80))


def _slots(pictures: list[Picture], fps: float, rate: float) -> list[Slot]:
    camera = CameraPipeline(GridSpec(16, 2, rate, 48), "tracked", anchor_every=100)
    info, packets = encode(pictures, rate=fps)
    slots = camera.feed(info)
    for packet in packets:
        slots += camera.feed(packet)
    return slots + camera.flush()


@pytest.mark.parametrize(("fps", "rate"), [(0.2, 2.0), (0.05, 2.0), (5.0, 30.0)])
def test_each_picture_of_a_slow_camera_makes_a_slot(fps: float, rate: float) -> None:
    slots = _slots(SCENE, fps, rate)
    # A pace is known from the third picture on.
    assert [slot.times[0] for slot in slots] == pytest.approx(np.arange(2, 20) / fps)
    # The first distance of two slots may be a hole: then the second one is an anchor, too.
    assert [slot.kind for slot in slots[2:]] == [SlotKind.DELTA] * 16
    for slot in slots:
        assert 0 < slot.times[1] - slot.times[0] < 0.001
        assert np.array_equal(slot.patches[:, 0], slot.patches[:, 1])
    assert all(0 < slot.kept_count < slot.cell_count / 2 for slot in slots[2:])


def test_a_camera_at_half_the_rate_pairs_its_pictures() -> None:
    slots = _slots(SCENE, fps=1.0, rate=2.0)
    assert [slot.times for slot in slots] == [(n, n + 1) for n in range(0, 20, 2)]


def test_one_gap_does_not_make_a_camera_slow() -> None:
    camera = CameraPipeline(GridSpec(16, 2, 2.0, 48), "tracked", anchor_every=100)
    info, packets = encode(SCENE[:12], rate=0.5)  # every 2 s: pairs of pictures, 4 s a slot
    camera.feed(info)
    # The eighth to tenth picture are lost: 8 s without one.
    slots = [
        slot for packet in [*packets[:7], packets[10], packets[11]] for slot in camera.feed(packet)
    ]
    assert camera.tracker is not None
    assert camera.tracker.counters.repeated == 0
    assert [slot.times for slot in slots] == [(0, 2), (4, 6), (8, 10), (20, 22)]


def test_a_still_picture_makes_one_slot() -> None:
    (slot,) = _slots([texture(240, 320, 1)], fps=1.0, rate=2.0)
    assert slot.kind is SlotKind.ANCHOR
    assert slot.kept_count == 48
    assert slot.times[0] == 0.0


def test_the_rest_of_a_longer_stream_makes_none() -> None:
    slots = _slots(SCENE[:7], fps=2.0, rate=2.0)
    assert [slot.times for slot in slots] == [(0, 0.5), (1, 1.5), (2, 2.5)]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_a_time_lapse_with_b_frames_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    path, step = tmp_path / f"lapse.{suffix}", Fraction(5)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=1 / step, options={"bf": "3"})
        stream.height, stream.width, stream.pix_fmt = 240, 320, "yuv420p"
        for index, picture in enumerate(SCENE):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, step
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = open_source(str(path))
    times = np.array([frame.time for frame in decode_stream(source.items())])
    assert times - times[0] == pytest.approx(np.arange(20) * 5.0)
    assert not source.anomalies
