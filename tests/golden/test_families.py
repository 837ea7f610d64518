"""Every family, in the engine, says what transformers' own forward says of the same window, to 1e-4
in float32.
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
from tests.golden.conftest import Spy
from tests.golden.family_references import REFERENCES, FamilyReference
from tests.golden.transformers_reference import UnprunedSlot

QUESTION = Question("Is it dark?", QuestionKind.YES_NO)
Film = Callable[..., list[UnprunedSlot]]
Said = Callable[..., torch.Tensor]


@pytest.fixture(scope="module", params=REFERENCES, ids=lambda kind: kind.__name__)
def family(request: pytest.FixtureRequest) -> FamilyReference:
    return request.param()


@pytest.fixture
def film(family: FamilyReference) -> Film:
    """A made-up stream: the first slot whole, of the others a share `keep` of the cells."""

    def make(slots: int, keep: float = 1.0, start: float = 0.0) -> list[UnprunedSlot]:
        random, grid = np.random.default_rng(0), family.patches
        looks = []
        for index in range(slots):
            shape = (grid.spec.frames, 3, grid.height, grid.width)
            frames = random.integers(0, 256, shape, dtype=np.uint8)
            kept = random.random((grid.rows, grid.cols)) < (keep if index else 1.0)
            times = tuple(start + index + step / 2 for step in range(grid.spec.frames))
            looks.append(UnprunedSlot(times, frames, kept))
        return looks

    return make


@pytest.fixture
def said(family: FamilyReference, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What the engine says after the question about a stream: logits [vocab]."""

    def said(looks: Sequence[UnprunedSlot], **config: object) -> torch.Tensor:
        settings = {
            "query_view": QueryView.LAST_SLOT,
            "vision_kv_cache": False,
            "neighbour_radius": 0,
            "kv_blocks": 256,
            **config,
        }
        engine = Engine(family.model, EngineConfig(**settings))
        engine.open("gate", family.patches)
        for look in looks:
            engine.push("gate", look.slot(family.model.cell))
        spy = Spy(family.model, monkeypatch)
        engine.ask("gate", QUESTION)
        return spy.logits[0]

    return said


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def test_no_family_goes_without_a_reference() -> None:
    assert {kind.adapter for kind in REFERENCES} | {Qwen3VL} == set(FAMILIES.values())


def test_nothing_pruned_is_one_plain_forward(
    family: FamilyReference, film: Film, said: Said
) -> None:
    looks = film(3)
    assert same(said(looks, window=4), family.plain(looks, QUESTION.text))


def test_pruned_is_a_forward_over_what_was_kept(
    family: FamilyReference, film: Film, said: Said
) -> None:
    looks = film(4, keep=0.4)
    ours = said(looks, window=4)
    assert same(ours, family.pruned(looks, QUESTION.text))
    assert not same(ours, family.plain(film(4), QUESTION.text))


def test_sliding_with_all_refreshed_is_a_fresh_window(
    family: FamilyReference, film: Film, said: Said
) -> None:
    looks = film(6, keep=0.5)
    ours = said(looks, window=3, stride=1, refresh="all")
    assert same(ours, family.pruned(looks[-3:], QUESTION.text))


def test_a_canvas_is_the_newest_slot_made_whole(
    family: FamilyReference, film: Film, said: Said
) -> None:
    looks = film(3, keep=0.4)
    ours = said(looks, window=1, stride=1, query_view=QueryView.LATEST_FEATURES)
    assert not same(ours, family.pruned(looks[-1:], QUESTION.text))
    assert same(ours, family.canvas(looks, QUESTION.text))


def test_default_policies_say_what_the_naive_twin_says(family: FamilyReference, film: Film) -> None:
    """Cached keys turned to the present, the prefix moved, neighbours looked at."""
    looks, answers = film(7, keep=0.4), []
    for kind in (Engine, NaiveEngine):
        engine = kind(family.model, EngineConfig(window=3, stride=1, kv_blocks=256))
        engine.open("gate", family.patches)
        for look in looks:
            engine.push("gate", look.slot(family.model.cell))
        answers.append(engine.ask("gate", QUESTION))
    ours, theirs = answers
    assert ours.value == theirs.value
    assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
    assert ours.cells_kept == theirs.cells_kept < ours.cells_total


@torch.inference_mode()
def test_slots_are_encoded_together_as_alone(family: FamilyReference, film: Film) -> None:
    slots = [look.slot(family.model.cell) for look in (*film(2), *film(3, keep=0.3), *film(2, 0))]
    for slot, together in zip(slots, family.model.encode_slots(slots), strict=True):
        alone = family.model.encode_cells(slot)
        assert len(together) == slot.kept_count
        torch.testing.assert_close(together.embeddings, alone.embeddings, atol=1e-5, rtol=0)


def test_what_it_costs_to_see_and_to_read_is_known(family: FamilyReference, film: Film) -> None:
    """Experts, windows and tokens beside the patches included."""
    model, meter = family.model, FlopMeter(family.model)
    for look in film(4, keep=0.5):
        slot = look.slot(model.cell)
        model.encode_cells(slot)  # what is looked up once for a shape is not counted
        assert count_flops(lambda slot=slot: model.encode_cells(slot)) == meter.vit(slot.kept) > 0
    cache, mask = DynamicCache(), torch.ones(7, 7, dtype=torch.bool).tril()
    run = Tokens.text(range(7))
    read = count_flops(lambda: model.forward(run, model.no_cells(), cache, mask, torch.arange(7)))
    assert read == meter.llm(7, 7, rows=7)


@torch.inference_mode()
def test_rotated_keys_are_those_of_a_later_place(family: FamilyReference) -> None:
    model = family.model

    def keys_at(start: int) -> torch.Tensor:
        empty = torch.zeros(1, model.kv.heads, 0, model.kv.head_dim)
        fork = ForkCache([(empty, empty)] * model.kv.layers)
        mask = torch.ones(5, 5, dtype=torch.bool).tril()
        run = Tokens.text([5, 6, 7, 8, 9]).shifted(start)
        model.forward(run, model.no_cells(), fork, mask, torch.arange(0))
        return torch.cat([keys for keys, _ in fork.branch()._layers])

    turned = model.rotate_keys(keys_at(0), model.rotation(torch.full((5,), 700)))
    assert torch.allclose(turned, keys_at(700), atol=1e-4)
    assert not torch.allclose(turned, keys_at(0), atol=1e-1)


def test_a_folder_gives_back_the_family(
    family: FamilyReference, film: Film, tmp_path: object
) -> None:
    family.model.network.save_pretrained(tmp_path)
    family.model.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), device="cpu")
    assert type(loaded) is type(family.model)
    slot = film(1)[0].slot(loaded.cell)
    ours, theirs = (model.encode_cells(slot).embeddings for model in (loaded, family.model))
    assert torch.equal(ours, theirs)
    assert torch.equal(loaded.layout.prefix.ids, family.model.layout.prefix.ids)
