"""The cost of a stream is measured before one is open."""

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.engine import EngineConfig
from codecsight.engine.profile_run import STREAMS, seconds_per_slot
from codecsight.models.families.qwen3_vl import Qwen3VL

QUESTION = Question.parse("How many cars?")


def test_one_stride_of_a_full_window_is_timed(model: Qwen3VL, grid: PatchGrid) -> None:
    """So that the questions, asked once a stride, count with their part."""
    times = iter([100.0, 103.0])
    config = EngineConfig(window=4, stride=2, kv_blocks=1)
    assert seconds_per_slot(model, config, grid, [QUESTION], lambda: next(times)) == 3 / 2 / STREAMS
    assert next(times, None) is None


def test_questions_cost_time(model: Qwen3VL, grid: PatchGrid) -> None:
    config, ticks = EngineConfig(window=4, stride=2), [0]
    forward = model.forward_packed

    def counting(tokens, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        ticks[0] += len(tokens)
        return forward(tokens, *rest)

    model.__dict__["forward_packed"] = counting
    try:
        without, with_two = (
            seconds_per_slot(model, config, grid, asked, lambda: float(ticks[0]))
            for asked in ([], [QUESTION, Question.parse("Is there a person?")])
        )
    finally:
        del model.__dict__["forward_packed"]
    assert 0 < without < with_two
