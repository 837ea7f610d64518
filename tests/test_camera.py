"""CameraPipeline: slots, anchors, reconnections, and counters."""

from dataclasses import replace

import numpy as np
import pytest

from codecsight.camera import CameraPipeline
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import Slot, SlotKind
from tests.video.scenes import encode, moving_square, texture

SPEC = GridSpec(cell=16, frames=2, rate=5.0, max_cells=48)
SCENE = moving_square(50, (4, 0), (8, 80))


def _feed(camera: CameraPipeline, info: StreamInfo, packets: list[Packet]) -> list[Slot]:
    slots = camera.feed(info)
    for packet in packets:
        slots += camera.feed(packet)
    return slots + camera.flush()


def test_every_pair_of_sampled_frames_gives_a_slot() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=8)
    slots = _feed(camera, *encode(SCENE))
    assert [slot.kind for slot in slots] == [SlotKind.ANCHOR] + [SlotKind.DELTA] * 4
    assert all(0 < slot.kept_count < slot.cell_count for slot in slots[1:])
    counters = camera.counters
    assert (counters.frames, counters.slots) == (50, 5)
    assert counters.cells_kept == sum(slot.kept_count for slot in slots)
    assert counters.cells_total == sum(slot.cell_count for slot in slots)


def test_a_static_scene_keeps_only_the_anchors_cells() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=100)
    slots = _feed(camera, *encode([texture(240, 320, 3)] * 50))
    assert [slot.kept_count for slot in slots] == [48, 0, 0, 0, 0]


def test_a_new_connection_starts_with_an_anchor() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=100)
    info, packets = encode(SCENE)
    _feed(camera, info, packets)
    assert _feed(camera, info, packets)[0].kind is SlotKind.ANCHOR


def test_a_connection_with_another_aspect_ratio_uses_another_grid() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=8)
    _feed(camera, *encode(SCENE))
    wide = [np.concatenate([picture, picture], axis=1) for picture in SCENE]
    slots = _feed(camera, *encode(wide))
    assert slots[0].kind is SlotKind.ANCHOR
    assert slots[0].kept.shape == (SPEC.fit(640, 240).rows, SPEC.fit(640, 240).cols)


def test_a_forced_anchor_is_the_next_slot() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=100)
    info, packets = encode(SCENE)
    camera.feed(info)
    slots: list[Slot] = []
    for packet in packets:
        slots += camera.feed(packet)
        if len(slots) == 2:
            camera.force_anchor()
    assert [slot.kind for slot in slots[:4]] == [
        SlotKind.ANCHOR,
        SlotKind.DELTA,
        SlotKind.ANCHOR,
        SlotKind.DELTA,
    ]


def test_packets_before_the_first_stream_info_are_ignored() -> None:
    _, packets = encode(SCENE[:5])
    camera = CameraPipeline(SPEC, "tracked", anchor_every=8)
    assert [camera.feed(packet) for packet in packets] == [[]] * 5


def test_an_unknown_policy_is_rejected_by_name() -> None:
    camera = CameraPipeline(SPEC, "no-such-policy", anchor_every=8)
    with pytest.raises(CodecSightError, match=r"no-such-policy.*known: tracked"):
        camera.feed(encode(SCENE[:1])[0])


def test_anomalies_are_kept_across_reconnections() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=8)
    info, packets = encode(SCENE)
    for item in (info, *packets[:5], replace(packets[5], data=b""), info, *packets[:5]):
        camera.feed(item)
    assert camera.counters.anomalies == {"packets without data": 1}


def test_pixels_decide_for_the_published_rule_where_the_codec_gives_no_motion() -> None:
    """MJPEG, and H.264 set to "all intra"."""
    for profile in ({"codec": "mjpeg"}, {"gop": 1}):
        info, packets = encode(SCENE, **profile)
        slots = _feed(CameraPipeline(SPEC, "published", anchor_every=100), info, packets)
        pixels = _feed(CameraPipeline(SPEC, "pixels", anchor_every=100), info, packets)
        kept = [slot.kept_count for slot in slots[1:]]
        assert kept == [slot.kept_count for slot in pixels[1:]]
        assert all(4 <= count <= 20 for count in kept), kept
