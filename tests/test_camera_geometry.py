"""CameraPipeline on pictures that are turned, stretched, or change their shape in mid-stream."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec
from codecsight.core.orientation import Orientation
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import Slot, SlotKind
from codecsight.patches.cut import paste
from tests.video.display_files import spliced
from tests.video.scenes import Picture, encode, moving_square, texture

SPEC = GridSpec(cell=16, frames=2, rate=5.0, max_cells=48)
SQUARE = GridSpec(cell=16, frames=2, rate=5.0, max_cells=49, square=True)
TURNED = [Orientation(*bits) for bits in product((False, True), repeat=3)][1:]


def _slots(
    items: list[StreamInfo | Packet], policy: str = "tracked", spec: GridSpec = SPEC
) -> list[Slot]:
    camera = CameraPipeline(spec, policy, anchor_every=100)
    return [slot for item in items for slot in camera.feed(item)] + camera.flush()


def _pan(count: int) -> list[Picture]:
    """A camera that turns to the right by 3 pixels a frame, and down by 1."""
    world = texture(240 + count, 320 + 3 * count, 4)
    return [world[n : n + 240, 3 * n : 3 * n + 320] for n in range(count)]


# 312 and 232 are no multiples of 16: the last blocks reach beyond the picture, which a flip turns
# to the other side.
CROPPED = [np.ascontiguousarray(each[:232, :312]) for each in moving_square(50, (4, 0), (8, 80))]


@pytest.mark.parametrize("policy", ["tracked", "published"])
@pytest.mark.parametrize("orientation", TURNED, ids=str)
def test_what_moves_in_a_turned_picture_is_kept_where_a_person_sees_it(
    orientation: Orientation, policy: str
) -> None:
    info, packets = encode(CROPPED)
    upright = _slots([info, *packets], policy)
    turned = _slots([replace(info, orientation=orientation), *packets], policy)
    assert len(turned) == len(upright) == 5
    for plain, slot in zip(upright, turned, strict=True):
        assert np.array_equal(slot.kept, orientation.apply(plain.kept))
    assert 0 < turned[1].kept_count < turned[1].cell_count / 2


@pytest.mark.parametrize("orientation", TURNED, ids=str)
def test_a_turning_camera_is_followed_in_a_turned_picture(orientation: Orientation) -> None:
    info, packets = encode(_pan(30))
    upright = _slots([info, *packets])
    turned = _slots([replace(info, orientation=orientation), *packets])
    plain = sum(slot.kept_count for slot in upright[1:])
    kept = sum(slot.kept_count for slot in turned[1:])
    assert kept <= 1.25 * plain
    assert kept < 0.6 * sum(slot.cell_count for slot in turned[1:])


def test_a_picture_that_is_turned_in_mid_stream_starts_anew() -> None:
    info, packets = encode([texture(240, 320, 3)] * 25)
    upside_down = replace(info, orientation=Orientation(flip_x=True, flip_y=True))
    _, *later = spliced((info, packets), (info, packets))
    slots = _slots([info, *packets, upside_down, *later[len(packets) :]])
    anchors = [slot for slot in slots if slot.kind is SlotKind.ANCHOR]
    assert len(anchors) == 2
    assert anchors[1].times[0] >= 1.0
    first, second = (_picture(slot) for slot in anchors)
    assert np.abs(second.astype(int) - first[:, ::-1, ::-1]).mean() < 3
    assert np.abs(second.astype(int) - first).mean() > 20


def _picture(anchor: Slot) -> Picture:
    """The pictures [frames, h, w, 3] that an anchor carries."""
    rows, cols = anchor.kept.shape
    pictures = np.zeros((2, rows * SPEC.cell, cols * SPEC.cell, 3), np.uint8)
    paste(pictures, anchor.kept, anchor.patches)
    return pictures


@pytest.mark.parametrize("spec", [SPEC, SQUARE], ids=["any shape", "square"])
def test_a_change_of_size_in_mid_stream_gives_an_undistorted_picture(spec: GridSpec) -> None:
    wide, high = texture(240, 320, 3), texture(320, 176, 4)
    items = spliced(encode([wide] * 20, rate=10.0), encode([high] * 20, rate=10.0))
    slots = _slots(items, spec=spec)
    grid, later = spec.fit(320, 240), spec.fit(176, 320)
    shapes = [slot.kept.shape for slot in slots]
    assert set(shapes) == {(grid.rows, grid.cols), (later.rows, later.cols)}
    (change,) = [n for n, slot in enumerate(slots) if n and slot.kind is SlotKind.ANCHOR]
    assert slots[change].times[0] == pytest.approx(2.0, abs=0.2)
    assert shapes[change:] == [(later.rows, later.cols)] * (len(slots) - change)
    assert len(slots) >= 9


def test_wide_pixels_give_a_wide_grid() -> None:
    info, packets = encode([texture(240, 320, 3)] * 10)
    slots = _slots([replace(info, sample_aspect=Fraction(2)), *packets])
    assert slots[0].kept.shape == (SPEC.fit(640, 240).rows, SPEC.fit(640, 240).cols)


def test_the_size_of_the_newest_slots_picture_is_known() -> None:
    camera = CameraPipeline(SPEC, "tracked", anchor_every=8)
    info, packets = encode([texture(240, 320, 3)] * 10)
    assert camera.size is None
    camera.feed(replace(info, orientation=Orientation(transpose=True)))
    for packet in packets:
        camera.feed(packet)
    assert camera.size == (240, 320)
