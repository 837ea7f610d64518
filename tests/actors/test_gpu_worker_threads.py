"""GpuWorker: on which thread each part runs, what overlaps, and what happens if a part hangs."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from actors import engine_loop, gpu_worker, stream_engine
from actors.deadlines import DeadlineError
from codecsight.core.answer import Answer
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.engine import Engine
from codecsight.engine.preparation import PreparedSlot, Preparer
from codecsight.uplink.messages import Reject, RejectReason
from tests.actors.gate import Gate
from tests.actors.local_worker import (
    STREAM,
    ask,
    make_chunk,
    make_hello,
    new_worker,
    open_stream,
    push,
)
from tests.actors.rpc.memory_host import until


def test_jobs_that_arrive_during_a_step_share_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = new_worker(folder)
    streams = [f"yard.c{number}" for number in range(5)]
    specs = [open_stream(worker, hello=make_hello(stream)).spec for stream in streams]
    chunks = [replace(make_chunk(specs[0], 0), stream=stream) for stream in streams]
    encoding, batch_sizes = Gate(), []
    model = worker._loop.engine.engine.model
    encode = model.encode_slots

    def encode_slots(slots: Sequence[object], *args: object) -> object:
        batch_sizes.append(len(slots))
        encoding.enter()
        return encode(slots, *args)

    monkeypatch.setattr(model, "encode_slots", encode_slots)

    async def push_all() -> list[str | Reject | None]:
        pushes = [asyncio.create_task(worker.push(chunks[0]))]
        await encoding.entered()
        pushes += [asyncio.create_task(worker.push(chunk)) for chunk in chunks[1:]]
        await until(lambda: len(worker._loop._queue) == 4)  # decoded, waiting for the next step
        encoding.open()
        return await asyncio.gather(*pushes)

    assert asyncio.run(push_all()) == [None] * 5
    assert batch_sizes == [1, 4]


def test_the_event_loop_neither_decodes_nor_computes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[str]] = {}

    def record(owner: object, name: str) -> None:
        function = getattr(owner, name)

        def recorded(*args: object, **options: object) -> object:
            threads.setdefault(name, set()).add(threading.current_thread().name)
            return function(*args, **options)

        monkeypatch.setattr(owner, name, recorded)

    record(gpu_worker, "unpack")
    record(stream_engine, "load_model")
    record(stream_engine, "seconds_per_slot")
    for name in ("open", "close", "submit_prepared", "submit_question_batch", "check_questions"):
        record(Engine, name)
    for name in ("step", "status", "needs_anchor", "reset"):
        record(Engine, name)
    worker = new_worker(folder)
    record(Preparer, "slot")
    record(Preparer, "questions")
    spec = open_stream(worker).spec
    for seq in (100, 101, 0):  # the clock restarts: the window is reset
        assert push(worker, make_chunk(spec, seq)) is None
    assert isinstance(ask(worker, STREAM, Question.parse("What is there?")), Answer)
    asyncio.run(worker.windows())
    asyncio.run(worker.status())
    asyncio.run(worker.close(STREAM))
    for name in ("unpack", "slot", "questions"):
        preparing = threads.pop(name)
        assert preparing
        assert all(thread.startswith("decode") for thread in preparing)
    assert len(threads) == 11
    assert set.union(*threads.values()) == {"engine"}


def test_calls_are_served_and_the_next_step_is_prepared_during_a_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, step = new_worker(folder), Gate()
    unpacked, prepared = threading.Event(), threading.Event()
    spec = open_stream(worker).spec
    open_stream(worker, hello=make_hello("yard.other"))
    compute = Engine._compute
    decode, tokenise = gpu_worker.unpack, Preparer.slot

    def held(engine: Engine) -> None:
        step.enter()
        compute(engine)

    def unpack(chunk: Chunk, grid: GridSpec) -> Slot:
        slot = decode(chunk, grid)
        unpacked.set()
        return slot

    def prepare(preparer: Preparer, stream: str, slot: Slot) -> PreparedSlot:
        found = tokenise(preparer, stream, slot)
        prepared.set()
        return found

    monkeypatch.setattr(Engine, "_compute", held)

    async def run() -> None:
        first = asyncio.create_task(worker.push(make_chunk(spec, 0)))
        await step.entered()
        monkeypatch.setattr(gpu_worker, "unpack", unpack)
        monkeypatch.setattr(Preparer, "slot", prepare)
        other = replace(make_chunk(spec, 0), stream="yard.other")
        rejection = await worker.push(replace(other, mosaic=b"not a picture"))
        assert isinstance(rejection, Reject)
        assert rejection.reason is RejectReason.MALFORMED
        second = asyncio.create_task(worker.push(other))
        await until(unpacked.is_set)
        await until(prepared.is_set)
        assert not first.done()
        step.open()
        assert await first is None
        assert await second is None

    asyncio.run(run())


def test_chunks_of_a_stream_keep_their_order_however_long_each_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, decode = new_worker(folder), gpu_worker.unpack
    spec = open_stream(worker).spec
    second_is_waiting = threading.Event()

    def unpack(chunk: Chunk, grid: GridSpec) -> Slot:
        if chunk.seq == 0:
            assert second_is_waiting.wait(60)
        return decode(chunk, grid)

    monkeypatch.setattr(gpu_worker, "unpack", unpack)

    async def run() -> list[str | Reject | None]:
        pushes = [
            asyncio.create_task(worker.push(make_chunk(spec, 0))),
            asyncio.create_task(worker.push(make_chunk(spec, 1, kind=SlotKind.DELTA))),
        ]
        await asyncio.sleep(0.1)
        second_is_waiting.set()
        return await asyncio.gather(*pushes)

    assert asyncio.run(run()) == [None, None]


def test_a_hung_engine_rejects_calls_and_a_withdrawn_call_is_never_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, step = new_worker(folder), Gate()
    spec = open_stream(worker).spec
    compute = Engine._compute

    def held(engine: Engine) -> None:
        step.enter()
        compute(engine)

    monkeypatch.setattr(Engine, "_compute", held)
    monkeypatch.setattr(engine_loop, "ENGINE_CALL_S", 0.2)
    monkeypatch.setattr(engine_loop, "ENGINE_JOB_S", 0.5)

    async def run() -> None:
        pushed = asyncio.create_task(worker.push(make_chunk(spec, 0)))
        await step.entered()
        opened = await worker.open(make_hello("yard.other"), 1)
        for rejection in (opened, await pushed):
            assert isinstance(rejection, Reject)
            assert rejection.reason is RejectReason.NO_CAPACITY
            assert "the engine did not respond" in rejection.detail
        assert "did not respond" in str(await worker.ask(STREAM, Question.parse("Is it dark?")))
        with pytest.raises(DeadlineError):
            await worker.status()
        step.open()

    asyncio.run(run())
    monkeypatch.undo()
    assert asyncio.run(worker.status()).streams == 1
    assert open_stream(worker).next_seq == 1
