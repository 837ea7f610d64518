"""Qwen3-VL: the ViT plain, packed and with cached vision context, and re-rotated keys."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import KVPool
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.naive.cache import ForkCache
from codecsight.models.errors import ModelError
from codecsight.models.families.qwen3_vl import Qwen3VL, split_packs
from codecsight.models.prompt import Tokens
from codecsight.models.tiny import byte_tokenizer, random_model, random_network


def random_slot(model: Qwen3VL, kept: np.ndarray, seed: int = 0) -> Slot:
    shape = (int(kept.sum()), model.frames, 3, model.cell, model.cell)
    patches = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Slot(SlotKind.DELTA, kept, patches, np.ones(shape[0], np.uint8), (0.0, 0.5), 0.0)


def test_the_grid_specification_has_the_models_cell_size(model: Qwen3VL) -> None:
    spec = model.grid_spec(rate=2.0, max_cells=40)
    assert (spec.cell, spec.frames, spec.slot_seconds) == (16, 2, 1.0)


@torch.inference_mode()
def test_whole_pictures_are_encoded_as_by_transformers(model: Qwen3VL) -> None:
    slot = random_slot(model, np.ones((2, 5), np.bool_))
    ours = model.encode_cells(slot)
    pixels = model.patchify(torch.from_numpy(slot.patches))
    theirs = model.network.model.visual(pixels, grid_thw=torch.tensor([[1, 4, 10]]))
    assert torch.equal(ours.embeddings, theirs.pooler_output)
    assert torch.equal(ours.deepstack, torch.stack(theirs.deepstack_features))


def test_pixels_are_normalised_by_the_given_mean_and_deviation() -> None:
    tokenizer = byte_tokenizer()
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    model = Qwen3VL(random_network(tokenizer, 0), tokenizer, name="x", normalization=(mean, std))
    white = model.patchify(torch.full((1, 2, 3, 16, 16), 255, dtype=torch.uint8))
    channels = white.view(4, 3, 2, 8, 8)[0, :, 0, 0, 0]
    assert channels.tolist() == pytest.approx([0.9 / 0.5, 0.8 / 0.6, 0.7 / 0.7])


def test_features_depend_on_position_and_neighbours(model: Qwen3VL) -> None:
    """The same pixels at another position, or next to other cells, have other features."""
    left, right = np.zeros((1, 4), np.bool_), np.zeros((1, 4), np.bool_)
    left[0, 0] = right[0, 3] = True
    alone, moved = (model.encode_cells(random_slot(model, kept)) for kept in (left, right))
    assert not torch.allclose(alone.embeddings, moved.embeddings, atol=1e-2)
    both = model.encode_cells(random_slot(model, left | right))
    assert not torch.allclose(alone.embeddings, both.embeddings[:1], atol=1e-2)


def test_a_slot_without_cells_has_no_features(model: Qwen3VL) -> None:
    cells = model.encode_cells(random_slot(model, np.zeros((2, 2), np.bool_)))
    assert len(cells) == 0
    assert cells.deepstack.shape == (2, 0, 48)


@torch.inference_mode()
def test_rerotated_keys_equal_keys_computed_at_the_new_position(model: Qwen3VL) -> None:
    def keys_at(start: int) -> torch.Tensor:
        shape = model.kv
        empty = torch.zeros(1, shape.heads, 0, shape.head_dim)
        fork = ForkCache([(empty, empty)] * shape.layers)
        mask = torch.ones(5, 5, dtype=torch.bool).tril()
        tokens = Tokens.text([5, 6, 7, 8, 9]).shifted(start)
        model.forward(tokens, model.no_cells(), fork, mask, torch.arange(0))
        return torch.cat([keys for keys, _ in fork.branch()._layers])

    def shift(offset: int) -> tuple[torch.Tensor, torch.Tensor]:
        return model.rotation(torch.full((5,), offset))

    assert torch.allclose(model.rotate_keys(keys_at(0), shift(700)), keys_at(700), atol=1e-4)
    assert torch.allclose(model.rotate_keys(keys_at(700), shift(-700)), keys_at(0), atol=1e-4)


def test_a_seed_determines_the_weights() -> None:
    slot = random_slot(random_model(5), np.ones((1, 2), np.bool_))
    first, again, other = (random_model(seed).encode_cells(slot) for seed in (5, 5, 6))
    assert torch.equal(first.embeddings, again.embeddings)
    assert not torch.equal(first.embeddings, other.embeddings)


def rope_model(**rope: object) -> Qwen3VL:
    tokenizer = byte_tokenizer()
    rope = {"rope_theta": 1e4, "mrope_section": [4, 2, 2], **rope}
    network = random_network(tokenizer, 0, text_rope_parameters=rope)
    return Qwen3VL(network, tokenizer, name="x")


def test_a_rotary_embedding_that_depends_on_length_is_rejected() -> None:
    factors = [1.0] * 8
    with pytest.raises(ModelError, match="'longrope' can't be used with a sliding window"):
        rope_model(
            rope_type="longrope",
            factor=2.0,
            short_factor=factors,
            long_factor=factors,
            original_max_position_embeddings=1024,
        )


def test_a_dynamic_rotary_embedding_keeps_its_trained_angles() -> None:
    """At any position, however long the stream."""
    grown, plain = rope_model(rope_type="dynamic", factor=2.0), rope_model(rope_type="default")
    far = torch.tensor([3, 40_000])
    assert far.max() > grown.network.config.text_config.max_position_embeddings
    for ours, theirs in zip(grown.rotation(far), plain.rotation(far), strict=True):
        assert torch.equal(ours, theirs)


def test_a_model_without_deepstack_has_no_levels() -> None:
    model = random_model(0, vision_deepstack_visual_indexes=[])
    cells = model.encode_cells(random_slot(model, np.ones((1, 3), np.bool_)))
    assert cells.deepstack.shape == (0, 3, 48)


@torch.inference_mode()
def test_the_packed_vit_gives_the_features_of_wanted_cells_as_transformers_does(
    model: Qwen3VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any pack size, with and without context cells."""
    random = np.random.default_rng(5)
    slots = [random_slot(model, random.random((3, 4)) < 0.6, seed) for seed in range(5)]
    wanted = [np.flatnonzero(random.random(slot.kept_count) < 0.7) for slot in slots]
    expected = [
        model.encode_cells(slot).select(cells) for slot, cells in zip(slots, wanted, strict=True)
    ]
    for max_cells in (1, 12, 1000):
        monkeypatch.setitem(model.__dict__, "_max_pack_cells", max_cells)
        for one, other in zip(model.encode_slots(slots, wanted), expected, strict=True):
            assert torch.allclose(one.embeddings, other.embeddings, atol=1e-5)
            assert torch.allclose(one.deepstack, other.deepstack, atol=1e-5)


@torch.inference_mode()
def test_new_cells_attend_to_the_cached_cells(model: Qwen3VL) -> None:
    """Packed and plain agree, and an unchanged cell that is encoded again has the same features."""
    whole, kept = np.ones((3, 4), np.bool_), np.zeros((3, 4), np.bool_)
    kept[1, 1:3] = True
    pictures = [random_slot(model, whole, seed) for seed in range(2)]
    same = replace(pictures[0], kept=kept, patches=pictures[0].patches[5:7])
    caches, plain = ([model.new_vision_kv_cache(3, 4) for _ in pictures] for _ in range(2))
    first = model.encode_slots(pictures, caches=caches)
    again = model.encode_slots([same, random_slot(model, kept, 7)], caches=caches)
    for slot, cache, features in zip(pictures, plain, first, strict=True):
        expected = model.encode_cells(slot)
        assert torch.allclose(features.embeddings, expected.embeddings, atol=1e-5)
        assert torch.equal(model.encode_cells(slot, cache).embeddings, expected.embeddings)
    assert torch.allclose(again[0].embeddings, first[0].embeddings[5:7], atol=1e-5)
    expected = model.encode_cells(random_slot(model, kept, 7), plain[1])
    assert torch.allclose(again[1].embeddings, expected.embeddings, atol=1e-5)
    assert torch.allclose(again[1].deepstack, expected.deepstack, atol=1e-5)
    assert torch.allclose(caches[1].kv, plain[1].kv, atol=1e-5)
    alone = model.encode_cells(random_slot(model, kept, 7))
    assert not torch.allclose(again[1].embeddings, alone.embeddings, atol=1e-2)


@torch.inference_mode()
def test_packed_and_plain_agree_in_bfloat16() -> None:
    """The dtype used on CUDA: every part must stay in it."""
    tokenizer = byte_tokenizer()
    model = Qwen3VL(random_network(tokenizer, 2).bfloat16(), tokenizer, name="half")
    slot = random_slot(model, np.ones((2, 3), np.bool_))
    packed, plain = model.encode_slots([slot])[0], model.encode_cells(slot)
    assert packed.embeddings.dtype == torch.bfloat16
    assert torch.allclose(packed.embeddings, plain.embeddings, atol=0.1)
    pool, indices = KVPool(model.kv, 4), np.arange(20)
    segment = PackedSegment(
        Tokens.text(range(20)),
        model.no_cells(),
        indices,
        indices,
        AttentionSpan.causal(indices),
        [7, 19],
    )
    ours = forward(model, pool, [segment], KVCopies.join([]))[0]
    mask = torch.ones(20, 20, dtype=torch.bool).tril()
    empty = torch.zeros(1, model.kv.heads, 0, model.kv.head_dim, dtype=torch.bfloat16)
    fork = ForkCache([(empty, empty)] * model.kv.layers)
    read = torch.tensor([7, 19])
    theirs = model.forward(Tokens.text(range(20)), model.no_cells(), fork, mask, read)
    assert torch.allclose(ours, theirs, atol=0.1)


def test_a_pack_holds_adjacent_slots_up_to_its_size() -> None:
    packs = split_packs([3, 4, 9, 1, 1, 5], max_cells=7)
    assert packs == [slice(0, 2), slice(2, 3), slice(3, 6)]
