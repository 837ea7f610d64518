"""Too much work: refusals are clear, nothing hangs, and who behaves is served."""

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
SEEN = Question("What is there?", QuestionKind.TEXT)


def drain(engine: Engine) -> list[JobResult]:
    results = []
    while engine.busy:
        results += engine.step()
    return results


def test_twice_the_streams_that_fit(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=3, stride=1, kv_blocks=45)
    engine.open("0", grid)
    fit = 45 // engine.status().blocks_reserved
    assert fit >= 3
    let_in = [str(number) for number in range(fit)]
    for stream in let_in[1:]:
        engine.open(stream, grid)
    for number in range(fit, 2 * fit):
        with pytest.raises(AdmissionRefused, match="close a stream"):
            engine.open(str(number), grid)
    for second in range(6):
        for stream in let_in:
            engine.submit(stream, slot_at(second, keep=1.0), [PERSON])
        assert all(result.error is None for result in drain(engine))
    assert engine.status().blocks_allocated <= engine.status().blocks_reserved <= 45


def test_when_blocks_run_out_the_quietest_stream_starts_again_from_an_anchor(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(
        window=3, stride=1, kv_blocks=15, reservation_ratio=0.5, query_view="last-slot"
    )
    for stream in ("quiet", "busy", "new"):
        engine.open(stream, grid)
    for stream in ("quiet", "busy", "new"):
        for second in range(3):
            engine.push(stream, slot_at(second, keep=1.0))
    needing = [stream for stream in ("quiet", "busy", "new") if engine.needs_anchor(stream)]
    assert needing == ["quiet"]
    with pytest.raises(SlotRefused, match="first slot must be an anchor"):
        engine.push("quiet", slot_at(4))
    assert engine.push("quiet", slot_at(4, keep=1.0)).slots == 1


def test_what_waits_for_a_stream_that_loses_its_kv_is_told_so(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    tickets = [engine.submit("a", slot_at(0)), engine.submit_questions("a", [PERSON])]
    engine.reset("a")
    results = drain(engine)
    assert [result.ticket for result in results] == tickets
    assert all(isinstance(result.error, AnchorRequired) for result in results)


def test_a_stream_that_floods_is_refused_its_surplus_and_delays_no_one(
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


def test_steps_are_short_however_much_waits(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_with(step_tokens=50)
    forward, sizes = engine.model.forward_packed, []

    def measured(tokens, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        sizes.append(len(tokens))
        return forward(tokens, *rest)

    monkeypatch.setattr(engine.model, "forward_packed", measured)
    for number in range(12):
        engine.open(str(number), grid)
        engine.submit(str(number), slot_at(0))
    assert len(drain(engine)) == 12
    assert max(sizes) <= 50


def test_a_stream_that_is_closed_still_answers_what_it_was_asked(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(max_answer_tokens=5)
    engine.open("a", grid)
    engine.push("a", slot_at(0))
    asked = engine.submit_questions("a", [SEEN, PERSON])
    dropped = engine.submit("a", slot_at(1))
    engine.step()
    engine.close("a")
    engine.open("a", grid)  # its name is free at once
    assert engine.needs_anchor("a")
    results = {result.ticket: result for result in drain(engine)}
    assert [answer.question for answer in results[asked].answers] == [SEEN.text, PERSON.text]
    assert isinstance(results[dropped].error, EngineError)
    assert engine.status().blocks_allocated == 0


def test_a_stream_that_is_closed_with_nothing_asked_leaves_at_once(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(step_tokens=20)
    engine.open("a", grid)
    engine.submit("a", slot_at(0), [PERSON])
    engine.step()  # its slot is half in
    assert engine.status().blocks_allocated > 0
    engine.close("a")
    assert (engine.status().blocks_allocated, engine.status().blocks_reserved) == (0, 0)


def test_many_texts_wait_for_room_and_are_all_answered(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(step_tokens=60, max_question_tokens=80, max_answer_tokens=6)
    for number in range(9):
        engine.open(str(number), grid)
        engine.push(str(number), slot_at(0, seed=number))
    for number in range(9):
        engine.submit_questions(str(number), [SEEN])
    results = drain(engine)
    assert sorted(result.stream for result in results) == [str(n) for n in range(9)]
    alone = engine_with(max_answer_tokens=6)
    alone.open("4", grid)
    alone.push("4", slot_at(0, seed=4))
    said = next(result.answers[0].value for result in results if result.stream == "4")
    assert said == alone.ask("4", SEEN).value
