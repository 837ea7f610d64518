"""The engine says what transformers' own forward says of the same window, to 1e-4 in float32."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from codecsight.answers.question import Question, QuestionKind
from codecsight.change.grid import PatchGrid
from codecsight.engine import Engine, EngineConfig, Present
from codecsight.models.qwen3_vl import Qwen3VL

Ask = Callable[[Engine], torch.Tensor]
Film = Callable[..., list[Any]]
QUESTION = Question("Is there a person?", QuestionKind.YES_NO)


def watch(model: Qwen3VL, grid: PatchGrid, looks: Sequence[Any], **config: Any) -> Engine:
    engine = Engine(model, EngineConfig(**{"present": Present.LAST_SLOT, **config}))
    engine.open("gate", grid)
    for look in looks:
        engine.push("gate", look.slot(grid.spec.cell))
    return engine


@pytest.fixture
def asked(spy: Any) -> Callable[[Engine], torch.Tensor]:
    """The logits [vocab] after the question."""

    def ask(engine: Engine) -> torch.Tensor:
        engine.ask("gate", QUESTION)
        return spy.logits[0]

    return ask


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def test_slots_fed_one_by_one_without_sliding(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(5)
    ours = asked(watch(model, grid, looks, window=8))
    assert same(ours, twin.logits(looks, QUESTION.text))


def test_a_window_that_slides_with_everything_refreshed(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(9)
    ours = asked(watch(model, grid, looks, window=4, stride=2, refresh="all"))
    assert same(ours, twin.logits(looks[-3:], QUESTION.text))


def test_a_pruned_window_is_a_plain_forward_with_the_dropped_cells_hidden(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(6, keep=0.4)
    ours = asked(watch(model, grid, looks, window=8))
    assert same(ours, twin.logits(looks, QUESTION.text))
    assert not same(ours, twin.logits(film(6), QUESTION.text))


def test_a_pruned_window_that_slides_with_everything_refreshed(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(10, keep=0.4)
    ours = asked(watch(model, grid, looks, window=4, stride=1, refresh="all"))
    assert same(ours, twin.logits(looks[-4:], QUESTION.text))


def test_slots_in_which_nothing_changed_cost_only_their_stamp(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(3, keep=0.0)
    engine = watch(model, grid, looks, window=8)
    assert engine.status().streams["gate"].tokens < 2 * grid.cells + 60
    assert same(asked(engine), twin.logits(looks, QUESTION.text))


def test_growing_positions_stay_exact_up_to_the_bound(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    """The whole window refreshed at each slide, just below the default bound on positions."""
    looks = film(4)
    engine = Engine(model, EngineConfig(window=3, stride=1, refresh="all"))
    engine.open("gate", grid)
    window = engine._session("gate").window
    window.next_position = engine.config.rebase_at - 200
    for look in looks:
        engine.push("gate", look.slot(grid.spec.cell))
    assert window.prefix_start > engine.config.rebase_at - 200
    assert same(asked(engine), twin.logits(looks[-3:], QUESTION.text))


def test_after_positions_start_anew_the_window_is_fresh(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(30, keep=0.6)
    engine = watch(model, grid, [], window=4, stride=1, refresh="none", rebase_at=300)
    rebased = (engine.push("gate", look.slot(grid.spec.cell)).rebased for look in looks)
    first = next(index for index, yes in enumerate(rebased) if yes)
    assert first > 6
    assert engine._session("gate").window.prefix_start == 0
    assert same(asked(engine), twin.logits(looks[first - 3 : first + 1], QUESTION.text))


def test_reused_slots_keep_what_they_saw_when_they_came(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(9, keep=0.5)
    ours = asked(watch(model, grid, looks, window=4, stride=2, refresh="none"))
    theirs = twin.logits_reused(looks, QUESTION.text, windows=[0, 0, 0, 0, 2, 2, 4, 4, 6])
    assert same(ours, theirs)
    assert not same(ours, twin.logits(looks[-3:], QUESTION.text))


def test_reused_slots_drift_within_bounds(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    """Reuse is an approximation: not the same, but nearer than another stream's window."""
    looks = film(9)
    ours = asked(watch(model, grid, looks, window=4, stride=2, refresh="none"))
    fresh = twin.logits(looks[-3:], QUESTION.text)
    other = twin.logits(film(3, seed=1, start=6.0), QUESTION.text)
    assert 1e-4 < (ours - fresh).abs().max() < (other - fresh).abs().max()


def test_the_canvas_is_the_newest_slot_made_whole_from_the_newest_features(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(5, keep=0.4)
    ours = asked(watch(model, grid, looks, window=8, present=Present.CANVAS))
    assert same(ours, twin.logits(looks, QUESTION.text, canvas=True))
    assert not same(ours, twin.logits(looks, QUESTION.text))


def test_the_canvas_outlives_the_slots_it_came_from(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(8, keep=0.3)
    config = {"window": 4, "stride": 1, "refresh": "all", "present": Present.CANVAS}
    ours = asked(watch(model, grid, looks, **config))
    assert same(ours, twin.logits(looks, QUESTION.text, canvas=True, last=4))


def test_a_newest_slot_that_is_whole_needs_no_canvas(
    model: Qwen3VL, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = [*film(3, keep=0.4), *film(1, start=3.0, seed=5)]
    ours = asked(watch(model, grid, looks, window=8, present=Present.CANVAS))
    assert same(ours, twin.logits(looks, QUESTION.text))
