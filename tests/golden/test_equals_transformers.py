"""The engine and its naive twin say what transformers' own forward says of the same window, to
1e-4 in float32.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.engine import Engine, EngineConfig, QueryView
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.families.qwen3_vl import Qwen3VL

AnyEngine = Engine | NaiveEngine
Ask = Callable[[AnyEngine], torch.Tensor]
Watch = Callable[..., AnyEngine]
Film = Callable[..., list[Any]]
QUESTION = Question("Is there a person?", QuestionKind.YES_NO)


@pytest.fixture(params=[Engine, NaiveEngine])
def watch(request: pytest.FixtureRequest, model: Qwen3VL, grid: PatchGrid) -> Watch:
    def watch(looks: Sequence[Any], **config: Any) -> AnyEngine:
        engine = request.param(
            model,
            EngineConfig(
                **{
                    "query_view": QueryView.LAST_SLOT,
                    "vision_kv_cache": False,
                    "neighbour_radius": 0,
                    **config,
                }
            ),
        )
        engine.open("gate", grid)
        for look in looks:
            engine.push("gate", look.slot(grid.spec.cell))
        return engine

    return watch


@pytest.fixture
def asked(spy: Any) -> Ask:
    """The logits [vocab] after the question."""

    def ask(engine: AnyEngine) -> torch.Tensor:
        engine.ask("gate", QUESTION)
        return spy.logits[0]

    return ask


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def test_slots_fed_one_by_one_without_sliding(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(5)
    ours = asked(watch(looks, window=8))
    assert same(ours, twin.logits(looks, QUESTION.text))


def test_a_window_that_slides_with_everything_refreshed(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(9)
    ours = asked(watch(looks, window=4, stride=2, refresh="all"))
    assert same(ours, twin.logits(looks[-3:], QUESTION.text))


def test_a_pruned_window_is_a_plain_forward_with_the_dropped_cells_hidden(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(6, keep=0.4)
    ours = asked(watch(looks, window=8))
    assert same(ours, twin.logits(looks, QUESTION.text))
    assert not same(ours, twin.logits(film(6), QUESTION.text))


def test_a_pruned_window_that_slides_with_everything_refreshed(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(10, keep=0.4)
    ours = asked(watch(looks, window=4, stride=1, refresh="all"))
    assert same(ours, twin.logits(looks[-4:], QUESTION.text))


def test_slots_in_which_nothing_changed_cost_only_their_stamp(
    watch: Watch, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(3, keep=0.0)
    engine = watch(looks, window=8)
    assert engine._sessions["gate"].window.length < 2 * grid.cells + 60
    assert same(asked(engine), twin.logits(looks, QUESTION.text))


def test_growing_positions_stay_exact_up_to_the_bound(
    watch: Watch, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    """The whole window refreshed at each slide, just below the default bound on positions."""
    looks = film(4)
    engine = watch([], window=3, stride=1, refresh="all")
    window = engine._sessions["gate"].window
    window.next_position = engine.config.rebase_at - 200
    for look in looks:
        engine.push("gate", look.slot(grid.spec.cell))
    assert window.prefix_start > engine.config.rebase_at - 200
    assert same(asked(engine), twin.logits(looks[-3:], QUESTION.text))


def test_after_positions_start_anew_the_window_is_fresh(
    watch: Watch, grid: PatchGrid, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(30, keep=0.6)
    engine = watch([], window=4, stride=1, refresh="none", rebase_at=300)
    rebased = (engine.push("gate", look.slot(grid.spec.cell)).rebased for look in looks)
    first = next(index for index, yes in enumerate(rebased) if yes)
    assert first > 6
    assert engine._sessions["gate"].window.prefix_start == 0
    assert same(asked(engine), twin.logits(looks[first - 3 : first + 1], QUESTION.text))


def test_reused_slots_keep_what_they_saw_when_they_came(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(9, keep=0.5)
    ours = asked(watch(looks, window=4, stride=2, refresh="none"))
    theirs = twin.logits_reused(looks, QUESTION.text, windows=[0, 0, 0, 0, 2, 2, 4, 4, 6])
    assert same(ours, theirs)
    assert not same(ours, twin.logits(looks[-3:], QUESTION.text))


def test_reused_slots_drift_within_bounds(
    watch: Watch, model: Qwen3VL, film: Film, twin: Any, asked: Ask
) -> None:
    """Reuse is an approximation: not the same, but nearer than another stream's window (for a
    network that has learnt nothing: one that knows pictures finds all noise alike).
    """
    if not model.name.startswith("random"):
        pytest.skip("these pictures are noise")
    looks = film(9)
    ours = asked(watch(looks, window=4, stride=2, refresh="none"))
    fresh = twin.logits(looks[-3:], QUESTION.text)
    other = twin.logits(film(3, seed=1, start=6.0), QUESTION.text)
    assert 1e-4 < (ours - fresh).abs().max() < (other - fresh).abs().max()


def test_the_canvas_is_the_newest_slot_made_whole_from_the_newest_features(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(5, keep=0.4)
    ours = asked(watch(looks, window=8, query_view=QueryView.LATEST_FEATURES))
    assert same(ours, twin.logits(looks, QUESTION.text, canvas=True))
    assert not same(ours, twin.logits(looks, QUESTION.text))


def test_the_canvas_outlives_the_slots_it_came_from(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = film(8, keep=0.3)
    config = {"window": 4, "stride": 1, "refresh": "all", "query_view": QueryView.LATEST_FEATURES}
    ours = asked(watch(looks, **config))
    assert same(ours, twin.logits(looks, QUESTION.text, canvas=True, last=4))


def test_a_newest_slot_that_is_whole_needs_no_canvas(
    watch: Watch, film: Film, twin: Any, asked: Ask
) -> None:
    looks = [*film(3, keep=0.4), *film(1, start=3.0, seed=5)]
    ours = asked(watch(looks, window=8, query_view=QueryView.LATEST_FEATURES))
    assert same(ours, twin.logits(looks, QUESTION.text))
