"""GpuWorker: ownership by epoch, due answers, admission and rejection."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.question import Question
from codecsight.core.slot import SlotKind
from codecsight.engine.errors import EngineError
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.messages import Reject, RejectReason
from codecsight.uplink.token_bucket import TokenBucket
from tests.actors.local_worker import (
    QUESTIONS,
    STREAM,
    ask,
    make_chunk,
    make_hello,
    new_worker,
    open_stream,
    push,
    try_open,
)


def test_standing_questions_are_answered_each_time_the_window_moves(folder: Path) -> None:
    worker = new_worker(folder)
    grant = open_stream(worker)
    assert (grant.epoch, grant.next_seq, grant.needs_anchor) == (7, None, True)
    for seq in range(6):
        kind = SlotKind.DELTA if seq else SlotKind.ANCHOR
        assert push(worker, make_chunk(grant.spec, seq, kind=kind)) is None
    answers = asyncio.run(worker.windows())[STREAM].answers
    assert [answer.question for answer in answers] == [
        "Is there a person?",
        "How many people are there?",
    ]
    assert {answer.end for answer in answers} == {5.5}
    status = asyncio.run(worker.status())
    assert (status.streams, status.answers) == (1, 6)
    assert status.cells_kept < status.cells_total
    assert 0 < status.spent.vit < status.once.vit < status.recompute.vit


def test_after_a_failed_pass_its_streams_need_an_anchor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    assert push(worker, make_chunk(spec, 0)) is None

    def fail(*_: object) -> None:
        raise MemoryError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(worker._loop.engine.engine.model, "forward_packed", fail)
        reason = push(worker, make_chunk(spec, 1, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "no memory left" in reason
    assert "anchor" in str(push(worker, make_chunk(spec, 2, kind=SlotKind.DELTA)))
    assert push(worker, make_chunk(spec, 3)) is None


def test_a_question_does_not_wait_for_the_window_to_move(folder: Path) -> None:
    worker = new_worker(folder)
    assert push(worker, make_chunk(open_stream(worker).spec, 0)) is None
    answer = ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert isinstance(answer.value, bool)


def test_an_answer_says_its_age_and_model_and_too_old_a_window_is_refused(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    for seq in range(4):
        push(worker, make_chunk(spec, seq))
    question = Question.parse("Is there a car?")
    fresh = asyncio.run(worker.ask(STREAM, question, 30.0))
    assert isinstance(fresh, Answer)
    assert 0 < fresh.age_s < 30
    assert fresh.model == worker.model_name()
    owned = worker._owned[STREAM]
    owned.received_at -= 300
    owned.answered_at -= 300
    refusal = asyncio.run(worker.ask(STREAM, question, 30.0))
    assert isinstance(refusal, str)
    assert f"the newest picture of {STREAM} is 30" in refusal
    old = asyncio.run(worker.ask(STREAM, question))
    assert isinstance(old, Answer)
    assert 300 < old.age_s < 400
    standing = asyncio.run(worker.windows())[STREAM].answers
    assert [300 < answer.age_s < 400 for answer in standing] == [True] * len(QUESTIONS)


def test_a_reconnected_stream_resumes_at_its_next_chunk(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    push(worker, make_chunk(spec, 0))
    grant = open_stream(worker, epoch=8)
    assert (grant.epoch, grant.next_seq, grant.needs_anchor) == (8, 1, False)


def test_a_chunk_of_an_old_epoch_is_rejected(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    open_stream(worker, epoch=8)
    rejection = push(worker, make_chunk(spec, 0, epoch=7))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.OLD_EPOCH


def test_a_chunk_of_an_unopened_stream_is_rejected(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker, hello=make_hello("yard.other")).spec
    rejection = push(worker, make_chunk(spec, 0))
    assert isinstance(rejection, Reject)
    assert STREAM in rejection.detail


def test_an_invalid_mosaic_is_rejected_and_the_window_is_kept(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    push(worker, make_chunk(spec, 0))
    rejection = push(worker, replace(make_chunk(spec, 1), mosaic=b"not a picture"))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.MALFORMED
    assert push(worker, make_chunk(spec, 1, kind=SlotKind.DELTA)) is None


def test_a_delta_without_an_anchor_requests_one(folder: Path) -> None:
    worker = new_worker(folder)
    reason = push(worker, make_chunk(open_stream(worker).spec, 0, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "anchor" in reason


def test_an_anchor_with_an_earlier_time_restarts_the_window(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    for seq in (100, 101):
        push(worker, make_chunk(spec, seq))
    assert push(worker, replace(make_chunk(spec, 102), times=(0.0, 0.5))) is None
    answer = ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert (answer.start, answer.end) == (0.0, 0.5)


def test_ask_stream_yields_partial_answers_and_then_the_answer(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    push(worker, make_chunk(spec, 0))
    question = Question.parse("What is there?")
    assert question.free_form

    async def ask_stream(asked: Question) -> list[PartialAnswer | Answer | str]:
        return [item async for item in worker.ask_stream(STREAM, asked)]

    *partial, answer = asyncio.run(ask_stream(question))
    assert isinstance(answer, Answer)
    assert len(partial) > 1
    assert all(isinstance(item, PartialAnswer) for item in partial)
    assert str(answer.value).startswith(partial[0].text)
    assert partial[-1].text == answer.value
    final = ask(worker, STREAM, question)
    assert isinstance(final, Answer)
    assert final.value == answer.value
    (typed,) = asyncio.run(ask_stream(Question.parse("Is there a car?")))
    assert isinstance(typed, Answer)


def test_two_identical_streamed_questions_get_separate_answers(folder: Path) -> None:
    worker = new_worker(folder)
    push(worker, make_chunk(open_stream(worker).spec, 0))
    question = Question.parse("What is there?")

    async def ask_stream(delay: int) -> list[PartialAnswer | Answer | str]:
        for _ in range(delay):
            await asyncio.sleep(0)
        return [item async for item in worker.ask_stream(STREAM, question)]

    async def both() -> tuple[list[PartialAnswer | Answer | str], ...]:
        return tuple(await asyncio.gather(ask_stream(0), ask_stream(6)))

    alone = asyncio.run(ask_stream(0))
    *partial, _ = alone
    assert (
        len({item.text for item in partial if isinstance(item, PartialAnswer)}) == len(partial) > 1
    )
    for *received, answer in asyncio.run(both()):
        assert received == partial
        assert isinstance(answer, Answer)


def test_ask_stream_on_an_empty_window_yields_the_error(folder: Path) -> None:
    worker = new_worker(folder)
    open_stream(worker)

    async def ask_stream() -> list[PartialAnswer | Answer | str]:
        return [item async for item in worker.ask_stream(STREAM, Question.parse("What is there?"))]

    (item,) = asyncio.run(ask_stream())
    assert isinstance(item, str)
    assert STREAM in item


def test_another_picture_size_starts_a_new_window(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    push(worker, make_chunk(spec, 0))
    grant = open_stream(worker, epoch=8, hello=make_hello(width=1280))
    assert (grant.next_seq, grant.needs_anchor) == (None, True)


def test_a_picture_size_that_changes_while_connected_continues_at_the_next_anchor(
    folder: Path,
) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    push(worker, make_chunk(spec, 0))
    wide = spec.fit(1280, 480)
    assert (wide.rows, wide.cols) != (spec.fit(640, 480).rows, spec.fit(640, 480).cols)
    reason = push(worker, make_chunk(spec, 1, kind=SlotKind.DELTA, size=(1280, 480)))
    assert isinstance(reason, str)
    for seq in (2, 3):
        assert push(worker, make_chunk(spec, seq, size=(1280, 480))) is None
    assert open_stream(worker, epoch=8, hello=make_hello(width=1280)).next_seq == 4


def test_an_invalid_standing_question_fails_at_start(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"a question of \d+ tokens"):
        new_worker(folder, questions=["Is it " + "very " * 900 + "dark?"])


@pytest.mark.parametrize("memory", [{"kv_blocks": 20}, {"memory_mib": 4}], ids=str)
def test_a_stream_without_memory_is_rejected_and_others_stay(
    folder: Path, memory: dict[str, int]
) -> None:
    worker = new_worker(folder, memory)
    opened = [try_open(worker, make_hello(f"yard.c{n}")) for n in range(12)]
    rejections = [reply for reply in opened if isinstance(reply, Reject)]
    assert len(rejections) < 12
    assert rejections[0].reason is RejectReason.NO_CAPACITY
    assert rejections[0].retry_after_s > 0
    asyncio.run(worker.close("yard.c0"))
    assert isinstance(try_open(worker, make_hello("yard.c9")), SessionGrant)


def test_a_stream_without_device_time_is_rejected_until_another_closes(folder: Path) -> None:
    worker = new_worker(folder, max_utilization=0.001)
    assert push(worker, make_chunk(open_stream(worker).spec, 0)) is None
    rejection = try_open(worker, make_hello("yard.other"))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.NO_CAPACITY
    assert "keep the device" in rejection.detail
    assert rejection.retry_after_s > 0
    assert push(worker, make_chunk(worker._spec, 1)) is None  # admitted streams continue
    asyncio.run(worker.close(STREAM))
    assert isinstance(try_open(worker, make_hello("yard.other")), SessionGrant)


def test_a_flooding_stream_is_admitted_at_its_rate(folder: Path) -> None:
    worker = new_worker(folder)
    spec = open_stream(worker).spec
    worker._owned[STREAM].token_bucket = TokenBucket(20.0, burst=2)

    async def flood() -> float:
        started = time.monotonic()
        for seq in range(8):
            await worker.push(make_chunk(spec, seq))
        return time.monotonic() - started

    assert asyncio.run(flood()) > 6 / 20 - 0.01
