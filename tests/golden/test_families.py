"""For every family the engine gives the logits of transformers' own forward for the same window, to
1e-4 in float32.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from codecsight.core.question import Question, QuestionKind
from codecsight.engine import Engine, EngineConfig, QueryView
from codecsight.engine.naive.cache import ForkCache
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.engine.resources.flops import FlopMeter, count_flops
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import FAMILIES, load_model
from codecsight.models.prompt import Tokens
from tests.golden.conftest import LogitsRecorder
from tests.golden.family_references import REFERENCES
from tests.golden.reference_base import FamilyReference
from tests.golden.transformers_reference import UnprunedSlot

QUESTION = Question("Is it dark?", QuestionKind.YES_NO)
MakeStream = Callable[..., list[UnprunedSlot]]
Logits = Callable[..., torch.Tensor]


@pytest.fixture(scope="module", params=REFERENCES, ids=lambda kind: kind.__name__)
def family(request: pytest.FixtureRequest) -> FamilyReference:
    return request.param()


@pytest.fixture
def make_stream(family: FamilyReference) -> MakeStream:
    """Make a stream of noise: the first slot keeps all cells, the others a share `keep` of them."""

    def make(slots: int, keep: float = 1.0, start: float = 0.0) -> list[UnprunedSlot]:
        random, grid = np.random.default_rng(0), family.patches
        stream = []
        for index in range(slots):
            shape = (grid.spec.frames, 3, grid.height, grid.width)
            frames = random.integers(0, 256, shape, dtype=np.uint8)
            kept = random.random((grid.rows, grid.cols)) < (keep if index else 1.0)
            times = tuple(start + index + step / 2 for step in range(grid.spec.frames))
            stream.append(UnprunedSlot(times, frames, kept))
        return stream

    return make


@pytest.fixture
def logits(family: FamilyReference, monkeypatch: pytest.MonkeyPatch) -> Logits:
    """Logits [vocab] of the engine after the question about a stream."""

    def logits(stream: Sequence[UnprunedSlot], **config: object) -> torch.Tensor:
        settings = {
            "query_view": QueryView.LAST_SLOT,
            "vision_kv_cache": False,
            "neighbour_radius": 0,
            "kv_blocks": 256,
            **config,
        }
        engine = Engine(family.model, EngineConfig(**settings))
        engine.open("gate", family.patches)
        for unpruned in stream:
            engine.push("gate", unpruned.slot(family.model.cell))
        recorder = LogitsRecorder(family.model, monkeypatch)
        engine.ask("gate", QUESTION)
        return recorder.logits[0]

    return logits


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def test_every_family_has_a_reference() -> None:
    assert {kind.adapter for kind in REFERENCES} | {Qwen3VL} == set(FAMILIES.values())


def test_an_unpruned_window_equals_one_forward_pass(
    family: FamilyReference, make_stream: MakeStream, logits: Logits
) -> None:
    stream = make_stream(3)
    assert same(logits(stream, window=4), family.plain(stream, QUESTION.text))


def test_a_pruned_window_equals_a_forward_pass_over_the_kept_tokens(
    family: FamilyReference, make_stream: MakeStream, logits: Logits
) -> None:
    stream = make_stream(4, keep=0.4)
    ours = logits(stream, window=4)
    assert same(ours, family.pruned(stream, QUESTION.text))
    assert not same(ours, family.plain(make_stream(4), QUESTION.text))


def test_a_sliding_window_with_all_slots_refreshed_equals_a_fresh_window(
    family: FamilyReference, make_stream: MakeStream, logits: Logits
) -> None:
    stream = make_stream(6, keep=0.5)
    ours = logits(stream, window=3, stride=1, refresh="all")
    assert same(ours, family.pruned(stream[-3:], QUESTION.text))


def test_latest_features_complete_the_newest_slot(
    family: FamilyReference, make_stream: MakeStream, logits: Logits
) -> None:
    stream = make_stream(3, keep=0.4)
    ours = logits(stream, window=1, stride=1, query_view=QueryView.LATEST_FEATURES)
    assert not same(ours, family.pruned(stream[-1:], QUESTION.text))
    assert same(ours, family.latest(stream, QUESTION.text))


def test_the_engine_agrees_with_the_naive_engine_under_default_policies(
    family: FamilyReference, make_stream: MakeStream
) -> None:
    """With re-rotated keys, a moved prefix and neighbour cells."""
    stream, answers = make_stream(7, keep=0.4), []
    for kind in (Engine, NaiveEngine):
        engine = kind(family.model, EngineConfig(window=3, stride=1, kv_blocks=256))
        engine.open("gate", family.patches)
        for unpruned in stream:
            engine.push("gate", unpruned.slot(family.model.cell))
        answers.append(engine.ask("gate", QUESTION))
    ours, theirs = answers
    assert ours.value == theirs.value
    assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
    assert ours.cells_kept == theirs.cells_kept < ours.cells_total


@torch.inference_mode()
def test_slots_encoded_together_have_the_features_of_slots_encoded_alone(
    family: FamilyReference, make_stream: MakeStream
) -> None:
    slots = [
        unpruned.slot(family.model.cell)
        for unpruned in (*make_stream(2), *make_stream(3, keep=0.3), *make_stream(2, 0))
    ]
    for slot, together in zip(slots, family.model.encode_slots(slots), strict=True):
        alone = family.model.encode_cells(slot)
        assert len(together) == slot.kept_count
        torch.testing.assert_close(together.embeddings, alone.embeddings, atol=1e-5, rtol=0)


def test_the_flop_meter_predicts_vit_and_text_model(
    family: FamilyReference, make_stream: MakeStream
) -> None:
    """Including experts, window attention and class tokens."""
    model, meter = family.model, FlopMeter(family.model)
    for unpruned in make_stream(4, keep=0.5):
        slot = unpruned.slot(model.cell)
        model.encode_cells(slot)  # fills the tables that are computed once per shape
        assert count_flops(lambda slot=slot: model.encode_cells(slot)) == meter.vit(slot.kept) > 0
    cache, mask = DynamicCache(), torch.ones(7, 7, dtype=torch.bool).tril()
    tokens = Tokens.text(range(7))
    spent = count_flops(
        lambda: model.forward(tokens, model.no_cells(), cache, mask, torch.arange(7))
    )
    assert spent == meter.llm(7, 7, 7)


@torch.inference_mode()
def test_rerotated_keys_equal_keys_computed_at_the_new_position(family: FamilyReference) -> None:
    model = family.model

    def keys_at(start: int) -> torch.Tensor:
        empty = torch.zeros(1, model.kv.heads, 0, model.kv.head_dim)
        fork = ForkCache([(empty, empty)] * model.kv.layers)
        mask = torch.ones(5, 5, dtype=torch.bool).tril()
        tokens = Tokens.text([5, 6, 7, 8, 9]).shifted(start)
        model.forward(tokens, model.no_cells(), fork, mask, torch.arange(0))
        return torch.cat([keys for keys, _ in fork.branch()._layers])

    moved = model.rotate_keys(keys_at(0), model.rotation(torch.full((5,), 700)))
    assert torch.allclose(moved, keys_at(700), atol=1e-4)
    assert not torch.allclose(moved, keys_at(0), atol=1e-1)


def test_a_saved_checkpoint_is_loaded_as_its_family(
    family: FamilyReference, make_stream: MakeStream, tmp_path: object
) -> None:
    family.model.network.save_pretrained(tmp_path)
    family.model.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), device="cpu")
    assert type(loaded) is type(family.model)
    slot = make_stream(1)[0].slot(loaded.cell)
    ours, theirs = (model.encode_cells(slot).embeddings for model in (loaded, family.model))
    assert torch.equal(ours, theirs)
    assert torch.equal(loaded.layout.prefix.ids, family.model.layout.prefix.ids)
