"""Overload: rejections are clear, nothing hangs, and other streams are served."""

from collections import Counter
from collections.abc import Callable

import pytest

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import AdmissionRefused, AnchorRequired, Engine, EngineError, SlotRefused
from codecsight.engine.results import JobResult

MakeEngine = Callable[..., Engine]
MakeSlot = Callable[..., Slot]

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
DESCRIBE = Question("What is there?", QuestionKind.TEXT)


def drain(engine: Engine) -> list[JobResult]:
    results = []
    while engine.busy:
        results += engine.step()
    return results


def test_twice_the_streams_that_fit_are_rejected_in_part(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=3, stride=1, kv_blocks=45)
    engine.open("0", grid)
    fit = 45 // engine.status().blocks_reserved
    assert fit >= 3
    admitted = [str(number) for number in range(fit)]
    for stream in admitted[1:]:
        engine.open(stream, grid)
    for number in range(fit, 2 * fit):
        with pytest.raises(AdmissionRefused, match="close a stream"):
            engine.open(str(number), grid)
    for second in range(6):
        for stream in admitted:
            engine.submit(stream, slot_at(second, keep=1.0), [PERSON])
        assert all(result.error is None for result in drain(engine))
    assert engine.status().blocks_allocated <= engine.status().blocks_reserved <= 45


def test_when_blocks_run_out_the_stream_idle_longest_restarts_from_an_anchor(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(
        window=3, stride=1, kv_blocks=15, reservation_ratio=0.5, query_view="last-slot"
    )
    for stream in ("idle", "busy", "new"):
        engine.open(stream, grid)
    for stream in ("idle", "busy", "new"):
        for second in range(3):
            engine.push(stream, slot_at(second, keep=1.0))
    needing = [stream for stream in ("idle", "busy", "new") if engine.needs_anchor(stream)]
    assert needing == ["idle"]
    with pytest.raises(SlotRefused, match="first slot must be an anchor"):
        engine.push("idle", slot_at(4))
    assert engine.push("idle", slot_at(4, keep=1.0)).slots == 1


def test_queued_jobs_of_a_reset_stream_fail_with_anchor_required(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    tickets = [engine.submit("a", slot_at(0)), engine.submit_questions("a", [PERSON])]
    engine.reset("a")
    results = drain(engine)
    assert [result.ticket for result in results] == tickets
    assert all(isinstance(result.error, AnchorRequired) for result in results)


def test_a_stream_that_floods_is_rejected_beyond_its_queue_and_delays_no_other(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(max_waiting=3, step_tokens=60)
    for stream in ("flood", "a", "b"):
        engine.open(stream, grid)
        engine.push(stream, slot_at(0))
    for second in range(1, 4):
        engine.submit("flood", slot_at(second))
    with pytest.raises(SlotRefused, match="3 slots are queued already"):
        engine.submit("flood", slot_at(4))
    engine.submit("a", slot_at(1))
    engine.submit("b", slot_at(1))
    order = [result.stream for result in drain(engine)]
    assert Counter(order) == {"flood": 3, "a": 1, "b": 1}
    assert set(order[:3]) == {"flood", "a", "b"}


def test_steps_keep_their_budget_however_much_is_queued(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_with(step_tokens=50)
    forward, sizes = engine.model.forward_packed, []

    def recorded(tokens, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        sizes.append(len(tokens))
        return forward(tokens, *rest)

    monkeypatch.setattr(engine.model, "forward_packed", recorded)
    for number in range(12):
        engine.open(str(number), grid)
        engine.submit(str(number), slot_at(0))
    assert len(drain(engine)) == 12
    assert max(sizes) <= 50


def test_a_closed_stream_still_answers_earlier_questions(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(max_answer_tokens=5)
    engine.open("a", grid)
    engine.push("a", slot_at(0))
    asked = engine.submit_questions("a", [DESCRIBE, PERSON])
    dropped = engine.submit("a", slot_at(1))
    engine.step()
    engine.close("a")
    engine.open("a", grid)  # its name can be used again at once
    assert engine.needs_anchor("a")
    results = {result.ticket: result for result in drain(engine)}
    assert [answer.question for answer in results[asked].answers] == [DESCRIBE.text, PERSON.text]
    assert isinstance(results[dropped].error, EngineError)
    assert engine.status().blocks_allocated == 0


def test_a_closed_stream_without_questions_is_freed_at_once(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(step_tokens=20)
    engine.open("a", grid)
    engine.submit("a", slot_at(0), [PERSON])
    engine.step()  # its slot is partly prefilled
    assert engine.status().blocks_allocated > 0
    engine.close("a")
    assert (engine.status().blocks_allocated, engine.status().blocks_reserved) == (0, 0)


def test_free_form_answers_wait_for_blocks_and_all_finish(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(step_tokens=60, max_question_tokens=80, max_answer_tokens=6)
    for number in range(9):
        engine.open(str(number), grid)
        engine.push(str(number), slot_at(0, seed=number))
    for number in range(9):
        engine.submit_questions(str(number), [DESCRIBE])
    results = drain(engine)
    assert sorted(result.stream for result in results) == [str(n) for n in range(9)]
    alone = engine_with(max_answer_tokens=6)
    alone.open("4", grid)
    alone.push("4", slot_at(0, seed=4))
    text = next(result.answers[0].value for result in results if result.stream == "4")
    assert text == alone.ask("4", DESCRIBE).value


def test_a_cancelled_question_is_dropped_also_in_the_middle_of_its_answer(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(max_answer_tokens=50)
    engine.open("a", grid)
    engine.push("a", slot_at(0))
    free = engine._scratch.blocks
    batches = [engine.preparer.questions([DESCRIBE]) for _ in range(3)]
    tickets = [engine.submit_question_batch("a", batch) for batch in batches]
    for _ in range(3):
        engine.step()
    assert engine._scratch.blocks > free, "the first is being decoded"
    for batch in batches[:2]:
        assert batch is not None
        batch.cancel()
    results = {result.ticket: result for result in drain(engine)}
    errors = [str(results[ticket].error) for ticket in tickets]
    assert errors == [*["nobody waits for the answer any more"] * 2, "None"]
    assert engine._scratch.blocks == free
