"""A GPU worker owns streams by epoch, answers what is due, and lets nothing bad in."""

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
from codecsight.uplink.messages import PROTOCOL, Hello, Reject, RejectReason
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
    return Hello("yard", stream, PROTOCOL, "test", "", width, 480, 0)


def _open(worker: GpuWorker, epoch: int = 7, hello: Hello | None = None) -> SessionGrant:
    opening = worker.open(hello or _hello(), epoch)
    assert isinstance(opening, SessionGrant)
    return opening


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


def test_a_stream_is_answered_each_time_its_window_has_moved(folder: Path) -> None:
    worker = _worker(folder)
    opening = _open(worker)
    assert (opening.epoch, opening.next_seq, opening.need_anchor) == (7, None, True)
    for seq in range(6):
        kind = SlotKind.DELTA if seq else SlotKind.ANCHOR
        assert _push(worker, _chunk(opening.spec, seq, kind=kind)) is None
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


def test_streams_that_push_at_the_same_time_share_the_models_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker(folder)
    streams = [f"yard.c{number}" for number in range(5)]
    specs = [_open(worker, hello=_hello(stream)).spec for stream in streams]
    model = worker._engine.model
    seen, encode = [], model.encode_slots
    monkeypatch.setattr(
        model, "encode_slots", lambda slots, *how: seen.append(len(slots)) or encode(slots, *how)
    )

    async def push_all() -> list[str | Reject | None]:
        chunks = [replace(_chunk(specs[0], 0), stream=stream) for stream in streams]
        return await asyncio.gather(*(worker.push(chunk) for chunk in chunks))

    assert asyncio.run(push_all()) == [None] * 5
    assert sum(seen) == 5
    assert len(seen) <= 2


def test_a_pass_that_fails_costs_its_streams_an_anchor_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    assert _push(worker, _chunk(spec, 0)) is None

    def fail(*_: object) -> None:
        raise MemoryError("no memory left")

    with monkeypatch.context() as broken:
        broken.setattr(worker._engine.model, "forward_packed", fail)
        reason = _push(worker, _chunk(spec, 1, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "no memory left" in reason
    assert "anchor" in str(_push(worker, _chunk(spec, 2, kind=SlotKind.DELTA)))
    assert _push(worker, _chunk(spec, 3)) is None


def test_a_question_is_answered_without_waiting_for_the_window(folder: Path) -> None:
    worker = _worker(folder)
    assert _push(worker, _chunk(_open(worker).spec, 0)) is None
    answer = _ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert isinstance(answer.value, bool)


def test_a_stream_that_comes_back_goes_on_where_it_was(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    opening = _open(worker, epoch=8)
    assert (opening.epoch, opening.next_seq, opening.need_anchor) == (8, 1, False)


def test_chunks_of_an_old_epoch_are_refused(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _open(worker, epoch=8)
    refused = _push(worker, _chunk(spec, 0, epoch=7))
    assert isinstance(refused, Reject)
    assert refused.reason is RejectReason.OLD_EPOCH


def test_chunks_of_a_stream_nobody_opened_are_refused(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker, hello=_hello("yard.other")).spec
    refused = _push(worker, _chunk(spec, 0))
    assert isinstance(refused, Reject)
    assert STREAM in refused.detail


def test_a_picture_that_is_none_is_refused_and_the_window_stays(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    refused = _push(worker, replace(_chunk(spec, 1), mosaic=b"no picture"))
    assert isinstance(refused, Reject)
    assert refused.reason is RejectReason.MALFORMED
    assert _push(worker, _chunk(spec, 1, kind=SlotKind.DELTA)) is None


def test_a_delta_without_its_anchor_asks_for_one(folder: Path) -> None:
    worker = _worker(folder)
    reason = _push(worker, _chunk(_open(worker).spec, 0, kind=SlotKind.DELTA))
    assert isinstance(reason, str)
    assert "anchor" in reason


def test_an_anchor_from_a_clock_that_began_again_starts_the_window_anew(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    for seq in (100, 101):
        _push(worker, _chunk(spec, seq))
    assert _push(worker, replace(_chunk(spec, 102), times=(0.0, 0.5))) is None
    answer = _ask(worker, STREAM, Question.parse("Is there a car?"))
    assert isinstance(answer, Answer)
    assert (answer.start, answer.end) == (0.0, 0.5)


def test_who_asks_aloud_hears_the_words_and_then_the_answer(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    question = Question.parse("What is there?")
    assert question.free_form

    async def hear(asked: Question) -> list[PartialAnswer | Answer | str]:
        return [said async for said in worker.ask_stream(STREAM, asked)]

    *words, answer = asyncio.run(hear(question))
    assert isinstance(answer, Answer)
    assert len(words) > 1
    assert all(isinstance(said, PartialAnswer) for said in words)
    assert str(answer.value).startswith(words[0].text)
    assert words[-1].text == answer.value
    whole = _ask(worker, STREAM, question)
    assert isinstance(whole, Answer)
    assert whole.value == answer.value
    (typed,) = asyncio.run(hear(Question.parse("Is there a car?")))
    assert isinstance(typed, Answer)


def test_two_who_ask_the_same_aloud_each_hear_their_own_answer(folder: Path) -> None:
    worker = _worker(folder)
    _push(worker, _chunk(_open(worker).spec, 0))
    question = Question.parse("What is there?")

    async def hear(after: int) -> list[PartialAnswer | Answer | str]:
        for _ in range(after):
            await asyncio.sleep(0)
        return [said async for said in worker.ask_stream(STREAM, question)]

    async def both() -> tuple[list[PartialAnswer | Answer | str], ...]:
        return tuple(await asyncio.gather(hear(0), hear(6)))

    alone = asyncio.run(hear(0))
    *words, _ = alone
    assert len({said.text for said in words if isinstance(said, PartialAnswer)}) == len(words) > 1
    for *heard, answer in asyncio.run(both()):
        assert heard == words
        assert isinstance(answer, Answer)


def test_who_asks_aloud_where_nothing_was_shown_is_told_why(folder: Path) -> None:
    worker = _worker(folder)
    _open(worker)

    async def hear() -> list[PartialAnswer | Answer | str]:
        return [said async for said in worker.ask_stream(STREAM, Question.parse("What is there?"))]

    (said,) = asyncio.run(hear())
    assert isinstance(said, str)
    assert "shown nothing yet" in said


def test_a_camera_of_another_shape_gets_a_new_window(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    _push(worker, _chunk(spec, 0))
    opening = _open(worker, epoch=8, hello=_hello(width=1280))
    assert (opening.next_seq, opening.need_anchor) == (None, True)


def test_a_camera_that_changes_its_shape_while_connected_goes_on_with_its_next_anchor(
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


def test_a_standing_question_that_cannot_be_asked_ends_the_worker_at_once(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"a question of \d+ tokens"):
        _worker(folder, questions=["Is it " + "very " * 900 + "dark?"])


@pytest.mark.parametrize("memory", [{"kv_blocks": 20}, {"memory_mib": 4}], ids=str)
def test_a_stream_that_does_not_fit_is_refused_with_numbers_and_others_stay(
    folder: Path, memory: dict[str, int]
) -> None:
    worker = _worker(folder, memory)
    opened = [worker.open(_hello(f"yard.c{n}"), 1) for n in range(12)]
    refused = [reply for reply in opened if isinstance(reply, Reject)]
    assert len(refused) < 12
    assert refused[0].reason is RejectReason.NO_CAPACITY
    assert refused[0].retry_after_s > 0
    worker.close("yard.c0")
    assert isinstance(worker.open(_hello("yard.c9"), 1), SessionGrant)


def test_a_stream_there_is_no_time_for_is_refused_and_may_come_later(folder: Path) -> None:
    worker = _worker(folder, max_utilization=0.001)
    assert _push(worker, _chunk(_open(worker).spec, 0)) is None
    refused = worker.open(_hello("yard.other"), 1)
    assert isinstance(refused, Reject)
    assert refused.reason is RejectReason.NO_CAPACITY
    assert "keep the device at work" in refused.detail
    assert refused.retry_after_s > 0
    assert _push(worker, _chunk(worker._spec, 1)) is None  # who is there isn't harmed
    worker.close(STREAM)
    assert isinstance(worker.open(_hello("yard.other"), 1), SessionGrant)


def test_a_stream_that_floods_is_taken_in_at_its_own_pace(folder: Path) -> None:
    worker = _worker(folder)
    spec = _open(worker).spec
    worker._owned[STREAM].token_bucket = TokenBucket(20.0, burst=2)

    async def flood() -> float:
        started = time.monotonic()
        for seq in range(8):
            await worker.push(_chunk(spec, seq))
        return time.monotonic() - started

    assert asyncio.run(flood()) > 6 / 20 - 0.01
