"""`gpu:NODE:N`: the Ray actor that runs one engine on one device for the streams it owns."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog

from actors.metrics import WorkerMetrics
from codecsight.answers.standing import StandingQuestions
from codecsight.config.cloud_config import CloudConfig, EngineSection
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.config import EngineConfig, EvictionPolicy, QueryView
from codecsight.engine.engine import Engine
from codecsight.engine.errors import AdmissionRefused, DeviceBusy, EngineError, SlotRefused
from codecsight.engine.profile_run import seconds_per_slot
from codecsight.engine.request import OnToken, ignore_tokens
from codecsight.engine.resources.flops import Flops
from codecsight.engine.resources.memory import fit_to_memory
from codecsight.engine.resources.utilization import HORIZON_S, Utilization
from codecsight.engine.results import JobResult
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model
from codecsight.patches.codec import PatchError
from codecsight.patches.packing import unpack
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.fleet import FlopCount, StreamWindow, WorkerStatus
from codecsight.uplink.messages import Hello, Reject, RejectReason
from codecsight.uplink.token_bucket import RATE_TOLERANCE, TokenBucket

log = structlog.get_logger()

NO_CAPACITY_RETRY_S = 15.0

StreamedAnswer = asyncio.Queue[PartialAnswer | asyncio.Task[Answer | str]]
"""Partial answers, then the finished task with the final answer."""


@dataclass(slots=True)
class _OwnedStream:
    """A stream of this worker. `next_seq` is the first chunk that it does not hold, None before
    the first chunk.
    """

    epoch: int
    grid: PatchGrid
    token_bucket: TokenBucket
    next_seq: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)


class GpuWorker:
    """Owns streams and runs the engine in steps. Jobs that arrive during a step share the next one.

    A stream is admitted if there are KV blocks and device time for it. Its chunks are admitted at
    the agreed rate; a faster stream waits at its own connection. All state is in memory: after a
    restart the streams reconnect and continue from an anchor.
    """

    def __init__(self, name: str, config: CloudConfig) -> None:
        section, model = config.engine, load_model(config.model)
        self._name = name
        self._spec = model.grid_spec(config.sample_fps, config.max_cells)
        self._engine = Engine(model, _engine_config(section, model, self._spec))
        self._questions = config.standing_questions
        self._engine.check_questions(self._questions)
        self._standing = StandingQuestions()
        self._owned: dict[str, _OwnedStream] = {}
        self._utilization = self._initial_utilization(section.max_utilization)
        self._metrics = WorkerMetrics(name)
        self._cells = [0, 0]
        self._answered = 0
        self._waiting: dict[int, asyncio.Future[JobResult]] = {}
        self._stepping: asyncio.Task[None] | None = None

    def _initial_utilization(self, max_utilization: float) -> Utilization:
        """Measure the cost of a stream with a wide picture, before any stream has connected."""
        config, spec, model = self._engine.config, self._spec, self._engine.model
        cost = seconds_per_slot(model, config, spec.fit(1920, 1080), self._questions)
        period = spec.slot_seconds
        horizon = max(HORIZON_S, config.window * period)
        return Utilization(max_utilization, cost / period, horizon, period)

    def model_name(self) -> str:
        """Name of the model. The first reply shows that the worker is ready."""
        return self._engine.model.name

    def open(self, hello: Hello, epoch: int) -> SessionGrant | Reject:
        """Accept a connection of a stream, and reject chunks of lower epochs from now on.

        A new stream, or one with a new picture size, must be admitted first. Returns a Reject
        without capacity.
        """
        owned = self._owned.get(hello.stream)
        grid = self._spec.fit(hello.width, hello.height)
        if owned is not None and owned.grid == grid:
            owned.epoch = max(owned.epoch, epoch)
        else:
            if owned is not None:
                self.close(hello.stream)
            try:
                self._admit(hello.stream, grid)
            except (AdmissionRefused, DeviceBusy) as error:
                return Reject(RejectReason.NO_CAPACITY, str(error), NO_CAPACITY_RETRY_S)
            token_bucket = TokenBucket(RATE_TOLERANCE * self._spec.rate / self._spec.frames)
            owned = self._owned[hello.stream] = _OwnedStream(epoch, grid, token_bucket)
            self._standing.set(hello.stream, self._questions)
        needs_anchor = self._engine.needs_anchor(hello.stream)
        return SessionGrant(owned.epoch, self._spec, owned.next_seq, needs_anchor)

    async def push(self, chunk: Chunk) -> str | Reject | None:
        """Run a chunk through the engine and answer the standing questions that are due.

        Returns None on success, the reason if the stream needs an anchor, or a Reject if the
        connection must end.
        """
        if chunk.stream in self._owned:
            await asyncio.sleep(self._owned[chunk.stream].token_bucket.reserve(time.monotonic()))
        owned = self._owned.get(chunk.stream)  # after the sleep: it may have been closed
        if owned is None or chunk.epoch != owned.epoch:
            detail = f"stream {chunk.stream}: epoch {chunk.epoch} has ended; connect again"
            return Reject(RejectReason.OLD_EPOCH, detail, 1.0)
        try:
            slot = unpack(chunk, self._spec)
        except PatchError as error:
            return Reject(RejectReason.MALFORMED, str(error), 0.0)
        owned.next_seq = chunk.seq + 1
        try:
            result = await self._wait_result(self._submit(chunk.stream, slot))
        except EngineError as error:
            log.warning("slot rejected", stream=chunk.stream, error=str(error))
            return str(error)
        self._record(slot, result, owned)
        return None

    async def ask(
        self, stream: str, question: Question, on_token: OnToken = ignore_tokens
    ) -> Answer | str:
        """Answer a question about a stream's current window. Returns a message on failure."""
        try:
            ticket = self._engine.submit_questions(stream, [question], on_token)
            return (await self._wait_result(ticket)).answers[0]
        except CodecSightError as error:
            return str(error)

    async def ask_stream(
        self, stream: str, question: Question
    ) -> AsyncIterator[PartialAnswer | Answer | str]:
        """As `ask`, but yields the partial answer after each token of a free-form answer."""
        results: StreamedAnswer = asyncio.Queue()

        def on_token(_: str, text: str) -> None:
            results.put_nowait(PartialAnswer(text))

        task = asyncio.create_task(self.ask(stream, question, on_token))
        task.add_done_callback(results.put_nowait)
        while isinstance(result := await results.get(), PartialAnswer):
            yield result
        yield result.result()

    def close(self, stream: str) -> None:
        """Close a stream and free its KV blocks. Does nothing for an unknown stream."""
        if self._owned.pop(stream, None) is not None:
            self._engine.close(stream)
            self._utilization.remove(stream)
            self._standing.set(stream, ())

    def windows(self) -> dict[str, StreamWindow]:
        """Tokens, KV blocks and newest answers of every stream."""
        streams = self._engine.status().streams
        return {
            name: StreamWindow(
                tokens=status.tokens,
                kv_blocks=status.blocks_reserved,
                answers=tuple(self._owned[name].answers.values()),
            )
            for name, status in streams.items()
        }

    def status(self) -> WorkerStatus:
        """Counters since the worker started. Also updates its gauges."""
        status = self._engine.status()
        self._metrics.kv_used.set(status.blocks_reserved)
        self._metrics.memory_used.set(status.bytes_reserved)
        return WorkerStatus(
            name=self._name,
            streams=len(status.streams),
            kv_used=status.blocks_reserved,
            kv_total=status.blocks_reserved + status.blocks_free,
            cells_kept=self._cells[0],
            cells_total=self._cells[1],
            spent=_to_flop_count(status.work.spent),
            recompute=_to_flop_count(status.work.recompute),
            once=_to_flop_count(status.work.once),
            answers=self._answered,
        )

    def _admit(self, stream: str, grid: PatchGrid) -> None:
        """Reserve device time and KV blocks. Raises DeviceBusy or AdmissionRefused."""
        self._utilization.admit(stream, time.monotonic())
        try:
            self._engine.open(stream, grid)
        except AdmissionRefused:
            self._utilization.remove(stream)
            raise

    def _submit(self, stream: str, slot: Slot) -> int:
        """Submit a slot to the engine. Returns its ticket.

        An anchor that does not fit the window restarts it: the edge's clock may have restarted, or
        the camera's picture may have another size.
        """
        due = self._standing.of(stream)
        try:
            return self._engine.submit(stream, slot, due)
        except SlotRefused:
            if slot.kind is not SlotKind.ANCHOR:
                raise
            self._restart_window(stream, PatchGrid(self._spec, *slot.kept.shape))
            return self._engine.submit(stream, slot, due)

    def _restart_window(self, stream: str, grid: PatchGrid) -> None:
        owned = self._owned[stream]
        if grid == owned.grid:
            self._engine.reset(stream)
            return
        self._engine.close(stream)
        del self._owned[stream]  # not owned until it is admitted again
        try:
            self._engine.open(stream, grid)
        except AdmissionRefused:
            self._utilization.remove(stream)
            raise
        owned.grid = grid
        self._owned[stream] = owned

    async def _wait_result(self, ticket: int) -> JobResult:
        """Wait for the result of a ticket, and run the engine meanwhile. Raises its error."""
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.create_task(self._step_while_busy())
        result: JobResult = await future
        if result.error is not None:
            raise result.error
        return result

    async def _step_while_busy(self) -> None:
        while self._engine.busy:
            await asyncio.sleep(0)  # let waiting calls submit their jobs to this step
            started = time.monotonic()
            try:
                results = self._engine.step()
            except Exception:  # the engine has reset the streams of the step; all continue
                log.exception("engine step failed")
                continue
            finally:
                self._utilization.record_busy(started, time.monotonic())
            for result in results:
                self._waiting.pop(result.ticket).set_result(result)

    def _record(self, slot: Slot, result: JobResult, owned: _OwnedStream) -> None:
        step, answers = result.slot_result, result.answers
        assert step is not None  # noqa: S101 - a slot without an error has one
        self._cells[0] += slot.kept_count
        self._cells[1] += slot.cell_count
        self._metrics.tokens.inc(step.prefilled + step.refreshed)
        self._metrics.stage_seconds.observe(step.vit_ms / 1000, {"stage": "vit"})
        self._metrics.stage_seconds.observe(step.prefill_ms / 1000, {"stage": "prefill"})
        if answers:
            owned.answers = {answer.question: answer for answer in answers}
            self._answered += len(answers)
            self._metrics.answers.inc(len(answers))


def _engine_config(
    section: EngineSection, model: VisionLanguageModel, spec: GridSpec
) -> EngineConfig:
    """The engine's configuration. `memory_mib` is divided as streams with wide pictures need it."""
    config = EngineConfig(
        window=section.window,
        stride=section.stride,
        eviction=EvictionPolicy(section.eviction),
        refresh=section.refresh,
        query_view=QueryView(section.query_view),
        neighbour_radius=section.neighbour_radius,
        kv_blocks=section.kv_blocks,
    )
    if section.memory_mib is None:
        return config
    return fit_to_memory(section.memory_mib * 2**20, model, config, spec.fit(1920, 1080))


def _to_flop_count(flops: Flops) -> FlopCount:
    return FlopCount(float(flops.vit), float(flops.llm))
