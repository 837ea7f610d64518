"""Engine and naive engine give the logits of transformers' own forward for the same window, to
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
Logits = Callable[[AnyEngine], torch.Tensor]
Push = Callable[..., AnyEngine]
MakeStream = Callable[..., list[Any]]
QUESTION = Question("Is there a person?", QuestionKind.YES_NO)


@pytest.fixture(params=[Engine, NaiveEngine])
def push(request: pytest.FixtureRequest, model: Qwen3VL, grid: PatchGrid) -> Push:
    def push(stream: Sequence[Any], **config: Any) -> AnyEngine:
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
        for unpruned in stream:
            engine.push("gate", unpruned.slot(grid.spec.cell))
        return engine

    return push


@pytest.fixture
def logits(recorder: Any) -> Logits:
    """Logits [vocab] of an engine after the question."""

    def logits(engine: AnyEngine) -> torch.Tensor:
        engine.ask("gate", QUESTION)
        return recorder.logits[0]

    return logits


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def test_a_window_that_does_not_slide_equals_one_forward_pass(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(5)
    ours = logits(push(stream, window=8))
    assert same(ours, reference.logits(stream, QUESTION.text))


def test_a_sliding_window_with_all_slots_refreshed_equals_a_fresh_window(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(9)
    ours = logits(push(stream, window=4, stride=2, refresh="all"))
    assert same(ours, reference.logits(stream[-3:], QUESTION.text))


def test_a_pruned_window_equals_a_forward_pass_with_the_dropped_cells_masked(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(6, keep=0.4)
    ours = logits(push(stream, window=8))
    assert same(ours, reference.logits(stream, QUESTION.text))
    assert not same(ours, reference.logits(make_stream(6), QUESTION.text))


def test_a_pruned_sliding_window_with_all_slots_refreshed_equals_a_fresh_one(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(10, keep=0.4)
    ours = logits(push(stream, window=4, stride=1, refresh="all"))
    assert same(ours, reference.logits(stream[-4:], QUESTION.text))


def test_slots_without_changes_take_only_their_time_and_marker_tokens(
    push: Push, grid: PatchGrid, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(3, keep=0.0)
    engine = push(stream, window=8)
    assert engine._sessions["gate"].window.length < 2 * grid.cells + 60
    assert same(logits(engine), reference.logits(stream, QUESTION.text))


def test_growing_positions_stay_exact_up_to_their_limit(
    push: Push, grid: PatchGrid, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    """The whole window is refreshed at each slide, just below the default limit on positions."""
    stream = make_stream(4)
    engine = push([], window=3, stride=1, refresh="all")
    window = engine._sessions["gate"].window
    window.next_rotary_position = engine.config.rebase_at - 200
    for unpruned in stream:
        engine.push("gate", unpruned.slot(grid.spec.cell))
    assert window.prefix_rotary_start > engine.config.rebase_at - 200
    assert same(logits(engine), reference.logits(stream[-3:], QUESTION.text))


def test_the_window_is_recomputed_when_positions_restart(
    push: Push, grid: PatchGrid, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(30, keep=0.6)
    engine = push([], window=4, stride=1, refresh="none", rebase_at=300)
    rebased = (engine.push("gate", unpruned.slot(grid.spec.cell)).rebased for unpruned in stream)
    first = next(index for index, yes in enumerate(rebased) if yes)
    assert first > 6
    assert engine._sessions["gate"].window.prefix_rotary_start == 0
    assert same(logits(engine), reference.logits(stream[first - 3 : first + 1], QUESTION.text))


def test_reused_slots_keep_the_attention_of_their_own_window(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(9, keep=0.5)
    ours = logits(push(stream, window=4, stride=2, refresh="none"))
    theirs = reference.logits_reused(stream, QUESTION.text, windows=[0, 0, 0, 0, 2, 2, 4, 4, 6])
    assert same(ours, theirs)
    assert not same(ours, reference.logits(stream[-3:], QUESTION.text))


def test_reused_slots_differ_less_than_another_stream(
    push: Push, model: Qwen3VL, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    """Reuse is an approximation: the logits differ, but less than those of another stream's window.
    Tested with random weights only: to a trained model all noise looks alike.
    """
    if not model.name.startswith("random"):
        pytest.skip("the pictures are noise, which a trained model does not tell apart")
    stream = make_stream(9)
    ours = logits(push(stream, window=4, stride=2, refresh="none"))
    fresh = reference.logits(stream[-3:], QUESTION.text)
    other = reference.logits(make_stream(3, seed=1, start=6.0), QUESTION.text)
    assert 1e-4 < (ours - fresh).abs().max() < (other - fresh).abs().max()


def test_latest_features_complete_the_newest_slot(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(5, keep=0.4)
    ours = logits(push(stream, window=8, query_view=QueryView.LATEST_FEATURES))
    assert same(ours, reference.logits(stream, QUESTION.text, latest=True))
    assert not same(ours, reference.logits(stream, QUESTION.text))


def test_latest_features_outlive_their_slots(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = make_stream(8, keep=0.3)
    config = {"window": 4, "stride": 1, "refresh": "all", "query_view": QueryView.LATEST_FEATURES}
    ours = logits(push(stream, **config))
    assert same(ours, reference.logits(stream, QUESTION.text, latest=True, last=4))


def test_a_whole_newest_slot_needs_no_latest_features(
    push: Push, make_stream: MakeStream, reference: Any, logits: Logits
) -> None:
    stream = [*make_stream(3, keep=0.4), *make_stream(1, start=3.0, seed=5)]
    ours = logits(push(stream, window=8, query_view=QueryView.LATEST_FEATURES))
    assert same(ours, reference.logits(stream, QUESTION.text))
