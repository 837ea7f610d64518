"""Which cells the ViT encodes: changed ones, and neighbours from the pixels shipped last."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.encoder_input import EncoderInput, changed_cells, dilate
from codecsight.models.families.qwen3_vl import Qwen3VL

ROWS, COLS, FRAMES, CELL = 4, 5, 2, 8


def _slot(kept: NDArray[np.bool_], seed: int) -> Slot:
    count = int(kept.sum())
    patches = np.random.default_rng(seed).integers(
        0, 256, (count, FRAMES, 3, CELL, CELL), dtype=np.uint8
    )
    kind = SlotKind.ANCHOR if kept.all() else SlotKind.DELTA
    return Slot(kind, kept, patches, np.ones(count, np.uint8), (seed + 0.0, seed + 0.5), 0.0)


def _kept(*cells: tuple[int, int]) -> NDArray[np.bool_]:
    kept = np.zeros((ROWS, COLS), np.bool_)
    for cell in cells:
        kept[cell] = True
    return kept


EVERY_CELL = np.ones((ROWS, COLS), np.bool_)


def test_dilation_includes_diagonals_and_stops_at_the_border() -> None:
    assert np.argwhere(dilate(_kept((0, 0)), 1)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert dilate(_kept((2, 2)), 1).sum() == 9
    assert dilate(_kept((2, 2)), 4).all()
    assert not dilate(_kept(), 1).any()


def test_a_request_contains_the_changed_cells_with_their_pixels() -> None:
    encoder_input = EncoderInput(neighbour_radius=1)
    encoder_input.prepare(_slot(EVERY_CELL, 0))
    slot = _slot(_kept((0, 0), (3, 4)), 1)
    request = encoder_input.prepare(slot)
    assert request.slot.kept_count == 8
    np.testing.assert_array_equal(request.slot.patches[request.encoded_cells], slot.patches)
    np.testing.assert_array_equal(np.flatnonzero(request.slot.kept)[request.encoded_cells], [0, 19])


def test_neighbours_repeat_their_newest_frame() -> None:
    encoder_input = EncoderInput(neighbour_radius=1)
    anchor = _slot(EVERY_CELL, 0)
    encoder_input.prepare(anchor)
    later = _slot(_kept((0, 1)), 1)
    encoder_input.prepare(later)
    request = encoder_input.prepare(_slot(_kept((0, 0)), 2))
    assert np.argwhere(request.slot.kept).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    for frame in range(FRAMES):
        np.testing.assert_array_equal(request.slot.patches[1, frame], later.patches[0, -1])
        np.testing.assert_array_equal(request.slot.patches[2, frame], anchor.patches[COLS, -1])


def test_with_radius_0_the_slot_is_encoded_alone() -> None:
    encoder_input = EncoderInput(neighbour_radius=0)
    encoder_input.prepare(_slot(EVERY_CELL, 0))
    slot = _slot(_kept((1, 1)), 1)
    assert encoder_input.prepare(slot).slot is slot


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_a_cell_is_encoded_as_part_of_the_picture_within_the_radius(
    model: Qwen3VL, radius: int
) -> None:
    """Compared with the composed picture, encoded without the cells beyond the radius."""
    cell = model.cell
    shape = (ROWS * COLS, model.frames, 3, cell, cell)
    anchor = replace(
        _slot(EVERY_CELL, 0),
        patches=np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8),
    )
    kept = _kept((1, 2), (2, 2))
    delta = replace(_slot(kept, 1), patches=anchor.patches[:2][::-1].copy())
    encoder_input = EncoderInput(radius)
    encoder_input.prepare(anchor)
    request = encoder_input.prepare(delta)
    composed = np.repeat(anchor.patches[:, -1:], model.frames, axis=1)
    composed[kept.ravel()] = delta.patches
    wide = dilate(kept, radius)
    expected = model.encode_cells(
        Slot(SlotKind.DELTA, wide, composed[wide.ravel()], np.ones(wide.sum()), (0.0, 0.5), 0.0)
    ).embeddings[torch.from_numpy(kept[wide])]
    found = model.encode_cells(request.slot).select(request.encoded_cells).embeddings
    torch.testing.assert_close(found, expected)


def test_a_later_anchor_is_encoded_where_it_differs(model: Qwen3VL) -> None:
    """By more than noise, in any block of any frame, from the pixels encoded last."""
    encoder_input = _with_vision_cache(model)
    anchor = _slot(EVERY_CELL, 0)
    assert encoder_input.prepare(anchor).changed.all()
    again = anchor.patches.astype(np.int16) + np.random.default_rng(1).integers(-3, 4)
    again[7, 1, 2, :4, 4:] += 20
    request = encoder_input.prepare(replace(anchor, patches=again.clip(0, 255).astype(np.uint8)))
    assert np.flatnonzero(request.changed).tolist() == [7]
    assert request.slot.kept_count == len(request.encoded_cells) == 1
    np.testing.assert_array_equal(request.slot.patches[0], again[7].clip(0, 255))


def test_slow_changes_add_up_until_they_are_encoded(model: Qwen3VL) -> None:
    encoder_input, grey = _with_vision_cache(model), _slot(EVERY_CELL, 0).patches * 0 + 100
    requests = [
        encoder_input.prepare(
            replace(_slot(EVERY_CELL, 0), patches=(grey + 3 * step).astype(np.uint8))
        )
        for step in range(4)
    ]
    assert [request.changed.all() for request in requests] == [True, False, False, True]


def test_deltas_and_first_anchors_are_always_encoded_whole(model: Qwen3VL) -> None:
    encoder_input, anchor = _with_vision_cache(model), _slot(EVERY_CELL, 0)
    encoder_input.prepare(anchor)
    delta = replace(_slot(_kept((0, 1)), 1), patches=anchor.patches[1:2])
    assert encoder_input.prepare(delta).changed.sum() == 1
    assert _with_vision_cache(model).prepare(anchor).changed.all()


def _with_vision_cache(model: Qwen3VL) -> EncoderInput:
    return EncoderInput(
        neighbour_radius=1, static_threshold=8.0, vision_cache=model.new_vision_kv_cache(ROWS, COLS)
    )


def test_neighbours_cost_only_vit_operations(model: Qwen3VL) -> None:
    spent = {}
    for radius in (0, 1):
        engine = Engine(model, EngineConfig(vision_kv_cache=False, neighbour_radius=radius))
        grid = PatchGrid(model.grid_spec(2.0, 48), ROWS, COLS)
        engine.open("s", grid)
        shape = (ROWS * COLS, model.frames, 3, model.cell, model.cell)
        anchor = replace(_slot(EVERY_CELL, 0), patches=np.zeros(shape, np.uint8))
        delta = replace(_slot(_kept((1, 2)), 1), patches=np.zeros((1, *shape[1:]), np.uint8))
        engine.push("s", anchor)
        spent[radius] = engine.push("s", delta).work.spent
    assert spent[1].vit > spent[0].vit
    assert spent[1].llm == spent[0].llm


@pytest.mark.parametrize("cell", [16, 14, 5])
def test_a_cell_has_changed_where_the_mean_of_a_block_has(cell: int) -> None:
    rng = np.random.default_rng(cell)
    old = rng.integers(0, 256, (60, FRAMES, 3, cell, cell)).astype(np.uint8)
    noise = rng.integers(-12, 13, old.shape) + rng.integers(0, 9, (60, 1, 1, 1, 1))
    new = np.clip(old + noise, 0, 255).astype(np.uint8)
    block = {16: 4, 14: 2, 5: 1}[cell]
    blocks = (60, FRAMES * 3, cell // block, block, cell // block, block)
    means = (new.astype(np.int64) - old).reshape(blocks).mean((3, 5))
    for threshold in (2.0, 8.0, 9.3):
        assert (
            changed_cells(new, old, threshold) == (np.abs(means).max((1, 2, 3)) > threshold)
        ).all()
