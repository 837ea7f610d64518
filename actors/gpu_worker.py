"""`gpu:NODE:N`: the Ray actor that runs one engine on one device for the streams it owns.

Importing this module loads no torch: every process with a handle of the actor imports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

import structlog

from actors.deadlines import DECODE_S, MAX_RATE_DELAY_S, DeadlineError, within
from actors.engine_loop import EngineLoop, EngineUnavailableError
from actors.metrics import WorkerMetrics
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.errors import AdmissionRefused, DeviceBusy, EngineError
from codecsight.logs import configure_logs
from codecsight.patches.codec import PatchError
from codecsight.patches.packing import unpack
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.fleet import FlopCount, StreamWindow, WorkerStatus
from codecsight.uplink.messages import Hello, Reject, RejectReason
from codecsight.uplink.token_bucket import RATE_TOLERANCE, TokenBucket

if TYPE_CHECKING:
    from actors.stream_engine import PreparedJob, StreamEngine
    from codecsight.engine.request import OnToken, QuestionBatch
    from codecsight.engine.resources.flops import Flops
    from codecsight.engine.results import EngineStatus, JobResult

log = structlog.get_logger()

NO_CAPACITY_RETRY_S = 15.0
UNAVAILABLE_RETRY_S = 5.0
DECODE_THREADS = 4
IDLE_S = 120.0
"""A stream without a slot for this long gives its memory back, connected or not."""
MAX_QUESTIONS = 16
"""Questions that may wait at one stream."""

T = TypeVar("T")

StreamedAnswer = asyncio.Queue[PartialAnswer | asyncio.Task[Answer | str]]
"""Partial answers, then the finished task with the final answer."""


@dataclass(slots=True)
class _OwnedStream:
    """A stream of this worker. `next_seq` is the first chunk that it does not hold, None before
    the first chunk.
    """

    epoch: int
    token_bucket: TokenBucket
    opened_at: float = field(default_factory=time.monotonic)
    next_seq: int | None = None
    questions: int = 0  # that wait for their answers
    answers: dict[str, Answer] = field(default_factory=dict)
    received_at: float = 0.0  # of the newest slot in the window, time.monotonic()
    answered_at: float = 0.0  # of the newest slot that `answers` rest on


class GpuWorker:
    """Owns streams: checks their calls on the event loop, decodes chunks and prepares jobs in a few
    threads, and lets the thread of an EngineLoop compute. So calls are served, and the next step is
    prepared, during a step.

    A stream is admitted if there are KV blocks and device time for it. Its chunks are admitted at
    the agreed rate; a faster stream waits at its own connection. All state is in memory: after a
    restart the streams reconnect and continue from an anchor.
    """

    def __init__(self, name: str, config: CloudConfig) -> None:
        configure_logs(name)
        self._name = name
        from actors.stream_engine import StreamEngine

        self._loop: EngineLoop[StreamEngine] = EngineLoop(partial(StreamEngine, config))
        self._spec = self._loop.engine.spec
        threads = min(DECODE_THREADS, os.cpu_count() or 1)
        self._decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._owned: dict[str, _OwnedStream] = {}
        # One lock per stream with a call in progress; an unused lock is garbage-collected.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._metrics = WorkerMetrics(name)
        self._cells = [0, 0]
        self._answered = 0

    def model_name(self) -> str:
        """Name of the model. The first reply shows that the worker is ready."""
        return self._loop.engine.engine.model.name

    async def open(self, hello: Hello, epoch: int) -> SessionGrant | Reject:
        """Accept a connection of a stream, and reject chunks of lower epochs from now on.

        A new stream, or one with a new picture size, must be admitted first. Returns a Reject
        without capacity.
        """
        stream, grid = hello.stream, self._spec.fit(hello.width, hello.height)
        async with self._lock(stream):
            try:
                opened = await self._loop.call(lambda engine: engine.open(stream, grid))
            except (AdmissionRefused, DeviceBusy) as error:
                self._owned.pop(stream, None)
                return Reject(RejectReason.NO_CAPACITY, str(error), NO_CAPACITY_RETRY_S)
            except (EngineUnavailableError, DeadlineError) as error:
                return _unavailable(error)
            owned = self._owned.get(stream)
            if owned is None or opened.new:
                token_bucket = TokenBucket(RATE_TOLERANCE * self._spec.rate / self._spec.frames)
                owned = self._owned[stream] = _OwnedStream(epoch, token_bucket)
            owned.epoch = max(owned.epoch, epoch)
            return SessionGrant(owned.epoch, self._spec, owned.next_seq, opened.needs_anchor)

    async def push(self, chunk: Chunk) -> str | Reject | None:
        """Run a chunk through the engine and answer the standing questions that are due.

        Returns None on success, the reason if the stream needs an anchor, or a Reject if the
        connection must end.
        """
        if chunk.stream in self._owned:
            delay = self._owned[chunk.stream].token_bucket.reserve(time.monotonic())
            await asyncio.sleep(min(delay, MAX_RATE_DELAY_S))
        try:
            return await self._run(chunk)
        except PatchError as error:
            return Reject(RejectReason.MALFORMED, str(error), 0.0)
        except (EngineUnavailableError, DeadlineError) as error:
            return _unavailable(error)
        except EngineError as error:
            log.warning("slot rejected", stream=chunk.stream, error=str(error))
            return str(error)

    async def _run(self, chunk: Chunk) -> Reject | None:
        """Decode a chunk and wait for its result. Raises PatchError, EngineError, DeadlineError or
        EngineUnavailableError.
        """
        stream = chunk.stream
        async with self._lock(stream):  # chunks reach the engine in the order of their calls
            owned = self._owned.get(stream)
            if owned is None or chunk.epoch != owned.epoch:
                detail = f"stream {stream}: epoch {chunk.epoch} has ended; connect again"
                return Reject(RejectReason.OLD_EPOCH, detail, 1.0)
            received_at = time.monotonic()
            prepared = await self._off_loop(partial(self._decode, chunk))
            job = self._loop.submit(lambda engine: engine.submit(stream, prepared))
            owned.next_seq = chunk.seq + 1
        try:
            self._record(prepared.prepared.slot, await self._loop.result(job), owned, received_at)
        except AdmissionRefused:  # for another picture size; the engine has closed the stream
            if self._owned.get(stream) is owned:
                del self._owned[stream]
            raise
        return None

    def _decode(self, chunk: Chunk) -> PreparedJob:
        """Decode a chunk's patches and prepare its slot. Runs on a decoder's thread."""
        return self._loop.engine.prepare(chunk.stream, unpack(chunk, self._spec))

    async def _off_loop(self, function: Callable[[], T]) -> T:
        """Call a function on a decoder's thread. Raises its error or DeadlineError."""
        running = asyncio.get_running_loop().run_in_executor(self._decoders, function)
        return await within(DECODE_S, running, "decoding")

    async def ask(
        self,
        stream: str,
        question: Question,
        max_age_s: float = 0.0,
        on_token: OnToken | None = None,
    ) -> Answer | str:
        """Answer a question about a stream's current window. Returns a message on failure, also if
        the newest slot is older than `max_age_s` (0: no limit).

        `on_token` is called on the engine's thread.
        """
        age_s, owned = self._age_s(stream), self._owned.get(stream)
        if 0 < max_age_s < age_s:
            return (
                f"the newest picture of {stream} is {age_s:.0f} s old, the limit is "
                f"{max_age_s:g} s: is the camera or its site away?"
            )
        if owned is None:
            return f"stream {stream!r} is not open here"
        if owned.questions >= MAX_QUESTIONS:
            return f"{owned.questions} questions wait at the stream {stream}; ask again later"
        owned.questions += 1
        try:
            prepare = partial(self._loop.engine.prepare_question, question, on_token)
            batch = await self._off_loop(prepare)
            return replace(await self._answer(stream, batch), age_s=age_s)
        except CodecSightError as error:
            return str(error)
        finally:
            owned.questions -= 1

    async def _answer(self, stream: str, batch: QuestionBatch) -> Answer:
        """Submit a question and wait for its answer. If the caller gives up, so does the engine."""
        job = self._loop.submit(lambda engine: engine.ask(stream, batch))
        try:
            return (await self._loop.result(job)).answers[0]
        except asyncio.CancelledError:
            batch.cancel()
            raise

    async def ask_stream(
        self, stream: str, question: Question, max_age_s: float = 0.0
    ) -> AsyncIterator[PartialAnswer | Answer | str]:
        """As `ask`, but yields the partial answer after each token of a free-form answer."""
        results: StreamedAnswer = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def on_token(_: str, text: str) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended; the engine has not
                loop.call_soon_threadsafe(results.put_nowait, PartialAnswer(text))

        task = asyncio.create_task(self.ask(stream, question, max_age_s, on_token))
        task.add_done_callback(results.put_nowait)
        try:
            while isinstance(result := await results.get(), PartialAnswer):
                yield result
            yield result.result()
        finally:
            task.cancel()  # no effect on a finished one

    async def close(self, stream: str) -> None:
        """Close a stream and free its KV blocks. Does nothing for an unknown stream."""
        async with self._lock(stream):
            self._owned.pop(stream, None)
            await self._loop.call(lambda engine: engine.close(stream))

    async def windows(self) -> dict[str, StreamWindow]:
        """Tokens, KV blocks and newest answers of every stream."""
        status = await self._loop.call(lambda engine: engine.status())
        return {
            name: StreamWindow(
                tokens=session.tokens,
                kv_blocks=session.blocks_reserved,
                answers=_with_age(self._owned[name]),
            )
            for name, session in status.streams.items()
            if name in self._owned  # it may have been closed meanwhile
        }

    async def status(self) -> WorkerStatus:
        """Counters since the worker started. Also updates its gauges, and closes idle streams."""
        await self._close_idle(time.monotonic())
        status = await self._loop.call(lambda engine: engine.status())
        self._metrics.kv_used.set(status.blocks_reserved)
        self._metrics.memory_used.set(status.bytes_reserved)
        return WorkerStatus(
            name=self._name,
            streams=len(status.streams),
            kv_used=status.blocks_reserved,
            kv_total=status.blocks_reserved + status.blocks_free,
            kv_by_site=_by_site(status),
            cells_kept=self._cells[0],
            cells_total=self._cells[1],
            spent=_to_flop_count(status.work.spent),
            recompute=_to_flop_count(status.work.recompute),
            once=_to_flop_count(status.work.once),
            answers=self._answered,
        )

    async def _close_idle(self, now: float) -> None:
        """Close the streams that have sent no slot for IDLE_S: those whose camera is away, those
        that only hold memory, and those that left while nobody knew their lease. An edge that
        sends again is told to connect again, and begins with an anchor.
        """
        for stream, owned in list(self._owned.items()):
            if now - max(owned.opened_at, owned.received_at) > IDLE_S:
                log.warning("stream closed", stream=stream, reason=f"no slot for {IDLE_S:g} s")
                await self.close(stream)

    async def stop(self) -> None:
        """End the threads. Calls that wait for the engine fail."""
        await asyncio.to_thread(self._loop.stop)
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _age_s(self, stream: str) -> float:
        """Seconds since the newest slot of the stream's window was received; 0 without any."""
        owned = self._owned.get(stream)
        return time.monotonic() - owned.received_at if owned and owned.received_at else 0.0

    def _lock(self, stream: str) -> asyncio.Lock:
        return self._locks.setdefault(stream, asyncio.Lock())

    def _record(
        self, slot: Slot, result: JobResult, owned: _OwnedStream, received_at: float
    ) -> None:
        owned.received_at = received_at
        step, answers = result.slot_result, result.answers
        assert step is not None  # noqa: S101 - a slot without an error has one
        self._cells[0] += slot.kept_count
        self._cells[1] += slot.cell_count
        self._metrics.tokens.inc(step.prefilled + step.refreshed)
        self._metrics.stage_seconds.observe(step.vit_ms / 1000, {"stage": "vit"})
        self._metrics.stage_seconds.observe(step.prefill_ms / 1000, {"stage": "prefill"})
        if answers:
            owned.answers = {answer.question: answer for answer in answers}
            owned.answered_at = received_at
            self._answered += len(answers)
            self._metrics.answers.inc(len(answers))


def _by_site(status: EngineStatus) -> dict[str, int]:
    """KV blocks reserved, by site."""
    blocks: Counter[str] = Counter()
    for stream, session in status.streams.items():
        blocks[stream.partition(".")[0]] += session.blocks_reserved
    return dict(blocks)


def _with_age(owned: _OwnedStream) -> tuple[Answer, ...]:
    """The newest standing answers, with the age that they have now."""
    age_s = time.monotonic() - owned.answered_at
    return tuple(replace(answer, age_s=age_s) for answer in owned.answers.values())


def _unavailable(error: CodecSightError) -> Reject:
    return Reject(RejectReason.NO_CAPACITY, str(error), UNAVAILABLE_RETRY_S)


def _to_flop_count(flops: Flops) -> FlopCount:
    return FlopCount(float(flops.vit), float(flops.llm))
