"""GpuWorker: ownership by epoch, due answers, admission and rejection."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.gpu_worker import GpuWorker
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.errors import EngineError
from codecsight.models.tiny import save_random_model
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.messages import PROTOCOL_VERSION, Hello, Reject, RejectReason
from codecsight.uplink.token_bucket import TokenBucket

STREAM = "yard.gate"
QUESTIONS = ("Is there a person?", "How many people are there?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("model"))


def _worker(
    folder: Path,
    memory: dict[str, int] | None = None,
    questions: Sequence[str] = QUESTIONS,
    max_utilization: float = 0.9,
) -> GpuWorker:
    config = {
        "sites": ["yard"],
        "model": str(folder),
        "max_cells": 12,
        "engine": {"window": 4, "stride": 2, "max_utilization": max_utilization, **(memory or {})},
        "questions": list(questions),
    }
    return GpuWorker("gpu:here:0", CloudConfig.model_validate(config))


def _push(worker: GpuWorker, chunk: Chunk) -> str | Reject | None:
    return asyncio.run(worker.push(chunk))


def _ask(worker: GpuWorker, stream: str, question: Question) -> Answer | str:
    return asyncio.run(worker.ask(stream, question))


def _hello(stream: str = STREAM, width: int = 640) -> Hello:
    return Hello("yard", stream, PROTOCOL_VERSION, "test", "", width, 480, 0)


def _open(worker: GpuWorker, epoch: int = 7, hello: Hello | None = None) -> SessionGrant:
    grant = worker.open(hello or _hello(), epoch)
    assert isinstance(grant, SessionGrant)
    return grant


def _chunk(
    spec: GridSpec,
    seq: int,
    epoch: int = 7,
    kind: SlotKind = SlotKind.ANCHOR,
    size: tuple[int, int] = (640, 480),
) -> Chunk:
    grid = spec.fit(*size)
    kept = np.zeros((grid.rows, grid.cols), np.bool_)
    kept[: None if kind is SlotKind.ANCHOR else 1] = True
    count = int(kept.sum())
    patches = np.full((count, spec.frames, 3, spec.cell, spec.cell), 90, np.uint8)
    reasons = np.ones(count, np.uint8)
    times = tuple(seq + step / 2 for step in range(spec.frames))
    slot = Slot(kind, kept, patches, reasons, times, 1e9 + seq)
    return replace(pack(slot, spec, STREAM, PatchCodec("lossless")), seq=seq, epoch=epoch)


def test_standing_questions_are_answered_each_time_the_window_moves(folder: Path) -> None:
    worker = _worker(folder)
    grant = _open(worker)
    assert (grant.epoch, grant.next_seq, grant.need_anchor) == (7, None, True)
    for seq in range(6):
        kind = SlotKind.DELTA if seq else SlotKind.ANCHOR
        assert _push(worker, _chunk(grant.spec, seq, kind=kind)) is None
    answers = worker.windows()[STREAM].answers
    assert [answer.question for answer in answers] == [
        "Is there a person?",
        "How many people are there?",
    ]
    assert {answer.end for answer in answers} == {5.5}
    status = worker.status()
    assert (status.streams, status.answers) == (1, 6)
    assert status.cells_kept < status.cells_total
    assert 0 < status.spent.vit < status.once.vit < status.recompute.vit


def test_concurrent_pushes_share_a_forward_pass(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker(folder)
    streams = [f"yard.c{number}" for number in range(5)]
    specs = [_open(worker, hello=_hello(stream)).spec for stream in streams]
    model = worker._engine.model
    batch_sizes, encode = [], model.encode_slots
    monkeypatch.setattr(
        model,
        "encode_slots",
        lambda slots, *args: batch_sizes.append(len(slots)) or encode(slots, *args),
    )

    async def push_all() -> list[str | Reject | None]:
        chunks = [replace(_chunk(specs[0], 0), stream=stream) for stream in streams]
        return await asyncio.gather(*(worker.push(chunk) for chunk in chunks))

    assert asyncio.run(push_all()) == [None] * 5
    assert sum(batch_sizes) == 5
    assert len(batch_sizes) <= 2


def test_after_a_failed_pass_its_streams_need_an_anchor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    assert _push(worker, _chunk(spec, 0)) is None

    def fail(*_: object) -> None:
        raise MemoryError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(worker._engine.model, "forward_packed", fail)
        reason = _push(worker, _chunk(spec, 1, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "no memory left" in reason
    assert "anchor" in str(_push(worker, _chunk(spec, 2, kind=SlotKind.DELTA)))
    assert _push(worker, _chunk(spec, 3)) is None


def test_a_question_does_not_wait_for_the_window_to_move(folder: Path) -> None:
    worker = _worker(folder)
    assert _push(worker, _chunk(_open(worker).spec, 0)) is None
    answer = _ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert isinstance(answer.value, bool)


def test_a_reconnected_stream_resumes_at_its_next_chunk(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    grant = _open(worker, epoch=8)
    assert (grant.epoch, grant.next_seq, grant.need_anchor) == (8, 1, False)


def test_a_chunk_of_an_old_epoch_is_rejected(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _open(worker, epoch=8)
    rejection = _push(worker, _chunk(spec, 0, epoch=7))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.OLD_EPOCH


def test_a_chunk_of_an_unopened_stream_is_rejected(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker, hello=_hello("yard.other")).spec
    rejection = _push(worker, _chunk(spec, 0))
    assert isinstance(rejection, Reject)
    assert STREAM in rejection.detail


def test_an_invalid_mosaic_is_rejected_and_the_window_is_kept(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    rejection = _push(worker, replace(_chunk(spec, 1), mosaic=b"not a picture"))
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.MALFORMED
    assert _push(worker, _chunk(spec, 1, kind=SlotKind.DELTA)) is None


def test_a_delta_without_an_anchor_requests_one(folder: Path) -> None:
    worker = _worker(folder)
    reason = _push(worker, _chunk(_open(worker).spec, 0, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "anchor" in reason


def test_an_anchor_with_an_earlier_time_restarts_the_window(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    for seq in (100, 101):
        _push(worker, _chunk(spec, seq))
    assert _push(worker, replace(_chunk(spec, 102), times=(0.0, 0.5))) is None
    answer = _ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert (answer.start, answer.end) == (0.0, 0.5)


def test_ask_stream_yields_partial_answers_and_then_the_answer(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
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
    final = _ask(worker, STREAM, question)
    assert isinstance(final, Answer)
    assert final.value == answer.value
    (typed,) = asyncio.run(ask_stream(Question.parse("Is there a car?")))
    assert isinstance(typed, Answer)


def test_two_identical_streamed_questions_get_separate_answers(folder: Path) -> None:
    worker = _worker(folder)
    _push(worker, _chunk(_open(worker).spec, 0))
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
    worker = _worker(folder)
    _open(worker)

    async def ask_stream() -> list[PartialAnswer | Answer | str]:
        return [item async for item in worker.ask_stream(STREAM, Question.parse("What is there?"))]

    (item,) = asyncio.run(ask_stream())
    assert isinstance(item, str)
    assert STREAM in item


def test_another_picture_size_starts_a_new_window(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    grant = _open(worker, epoch=8, hello=_hello(width=1280))
    assert (grant.next_seq, grant.need_anchor) == (None, True)


def test_a_picture_size_that_changes_while_connected_continues_at_the_next_anchor(
    folder: Path,
) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    wide = spec.fit(1280, 480)
    assert (wide.rows, wide.cols) != (spec.fit(640, 480).rows, spec.fit(640, 480).cols)
    reason = _push(worker, _chunk(spec, 1, kind=SlotKind.DELTA, size=(1280, 480)))
    assert isinstance(reason, str)
    for seq in (2, 3):
        assert _push(worker, _chunk(spec, seq, size=(1280, 480))) is None
    assert _open(worker, epoch=8, hello=_hello(width=1280)).next_seq == 4


def test_an_invalid_standing_question_fails_at_start(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"a question of \d+ tokens"):
        _worker(folder, questions=["Is it " + "very " * 900 + "dark?"])


@pytest.mark.parametrize("memory", [{"kv_blocks": 20}, {"memory_mib": 4}], ids=str)
def test_a_stream_without_memory_is_rejected_and_others_stay(
    folder: Path, memory: dict[str, int]
) -> None:
    worker = _worker(folder, memory)
    opened = [worker.open(_hello(f"yard.c{n}"), 1) for n in range(12)]
    rejections = [reply for reply in opened if isinstance(reply, Reject)]
    assert len(rejections) < 12
    assert rejections[0].reason is RejectReason.NO_CAPACITY
    assert rejections[0].retry_after_s > 0
    worker.close("yard.c0")
    assert isinstance(worker.open(_hello("yard.c9"), 1), SessionGrant)


def test_a_stream_without_device_time_is_rejected_until_another_closes(folder: Path) -> None:
    worker = _worker(folder, max_utilization=0.001)
    assert _push(worker, _chunk(_open(worker).spec, 0)) is None
    rejection = worker.open(_hello("yard.other"), 1)
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.NO_CAPACITY
    assert "keep the device" in rejection.detail
    assert rejection.retry_after_s > 0
    assert _push(worker, _chunk(worker._spec, 1)) is None  # admitted streams continue
    worker.close(STREAM)
    assert isinstance(worker.open(_hello("yard.other"), 1), SessionGrant)


def test_a_flooding_stream_is_admitted_at_its_rate(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    worker._owned[STREAM].token_bucket = TokenBucket(20.0, burst=2)

    async def flood() -> float:
        started = time.monotonic()
        for seq in range(8):
            await worker.push(_chunk(spec, seq))
        return time.monotonic() - started

    assert asyncio.run(flood()) > 6 / 20 - 0.01
