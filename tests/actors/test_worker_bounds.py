"""GpuWorker: what streams and callers may hold, and how it is given back."""

import asyncio
import time
from pathlib import Path

import pytest

from actors import gpu_worker
from codecsight.core.answer import Answer
from codecsight.core.question import Question
from codecsight.engine.engine import Engine
from codecsight.uplink.messages import Reject, RejectReason
from tests.actors.gate import Gate
from tests.actors.local_worker import (
    STREAM,
    make_chunk,
    make_hello,
    new_worker,
    open_stream,
    push,
)
from tests.actors.rpc.memory_host import until

QUESTION = Question.parse("What is there?")


def test_a_stream_without_slots_gives_its_memory_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = new_worker(folder, questions=())
    spec = open_stream(worker).spec
    open_stream(worker, hello=make_hello("south.silent"))
    status = asyncio.run(worker.status())
    assert set(status.kv_by_site) == {STREAM.split(".")[0], "south"}
    assert sum(status.kv_by_site.values()) == status.kv_used > 0
    opened = time.monotonic()
    time.sleep(0.5)
    assert push(worker, make_chunk(spec, 1)) is None
    asyncio.run(worker._close_idle(opened + gpu_worker.IDLE_S + 0.25))
    left = asyncio.run(worker.status())
    assert set(left.kv_by_site) == {STREAM.split(".")[0]}
    assert left.kv_used == status.kv_used // 2
    monkeypatch.setattr(gpu_worker, "IDLE_S", 0.0)
    assert asyncio.run(worker.status()).kv_used == 0
    rejection = push(worker, make_chunk(spec, 90))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.OLD_EPOCH


def test_questions_that_nobody_waits_for_are_dropped_and_others_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = new_worker(folder, questions=())
    spec = open_stream(worker).spec
    assert push(worker, make_chunk(spec, 0)) is None
    step, compute = Gate(), Engine._compute

    def held(engine: Engine) -> None:
        step.enter()
        compute(engine)

    monkeypatch.setattr(Engine, "_compute", held)

    async def run() -> Answer | str:
        asked = [asyncio.create_task(worker.ask(STREAM, QUESTION)) for _ in range(6)]
        await step.entered()
        await until(lambda: worker._owned[STREAM].questions == 6)
        for one in asked[1:]:
            one.cancel()
        last = asyncio.create_task(worker.ask(STREAM, QUESTION))
        await until(lambda: worker._owned[STREAM].questions == 2)
        step.open()
        await asyncio.gather(*asked, return_exceptions=True)
        return await last

    assert isinstance(asyncio.run(run()), Answer)
    assert worker._owned[STREAM].questions == 0


def test_a_stream_has_a_bound_of_questions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_worker, "MAX_QUESTIONS", 3)
    worker = new_worker(folder, questions=())
    spec = open_stream(worker).spec
    assert push(worker, make_chunk(spec, 0)) is None

    async def run() -> list[Answer | str]:
        return list(await asyncio.gather(*(worker.ask(STREAM, QUESTION) for _ in range(5))))

    replies = asyncio.run(run())
    assert sum(isinstance(reply, Answer) for reply in replies) == 3
    assert [reply for reply in replies if isinstance(reply, str)] == [
        f"3 questions wait at the stream {STREAM}; ask again later"
    ] * 2
    assert worker._owned[STREAM].questions == 0
