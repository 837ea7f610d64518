"""`gpu:NODE:N`: one engine on one device, and the streams it owns."""

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
from codecsight.engine.request import OnToken, ignore_tokens
from codecsight.engine.resources.flops import Flops
from codecsight.engine.resources.memory import fit_to_memory
from codecsight.engine.resources.profile_run import seconds_per_slot
from codecsight.engine.resources.utilization import HORIZON_S, Utilization
from codecsight.engine.results import JobResult
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model
from codecsight.patches.codec import PatchError
from codecsight.patches.packing import unpack
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.fleet import FlopCount, StreamWindow, WorkerStatus
from codecsight.uplink.messages import Hello, Reject, RejectReason
from codecsight.uplink.token_bucket import TokenBucket

log = structlog.get_logger()

FULL_RETRY_S = 15.0
RATE_TOLERANCE = 1.1
"""By how much a stream may be faster than agreed for good: clocks differ."""

Hearing = asyncio.Queue[PartialAnswer | asyncio.Task[Answer | str]]
"""What somebody hears who asks aloud: words, then the answer."""


@dataclass(slots=True)
class _Owned:
    """A stream of ours: its connection's epoch and the next chunk we have not got."""

    epoch: int
    grid: PatchGrid
    token_bucket: TokenBucket
    next_seq: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)


class GpuWorker:
    """Takes in what comes of all its streams, and works it off in steps: what has arrived while one
    step ran shares the next. All it holds is soft: when it dies, its streams connect again and
    begin with an anchor. It lets in what it has blocks and time for, and takes from each stream
    what was agreed; a stream that sends more waits at its own connection.
    """

    def __init__(self, name: str, config: CloudConfig) -> None:
        section, model = config.engine, load_model(config.model)
        self._name = name
        self._spec = model.grid_spec(config.sample_fps, config.max_cells)
        self._engine = Engine(model, _engine_config(section, model, self._spec))
        self._questions = config.standing_questions
        self._engine.check_questions(self._questions)
        self._standing = StandingQuestions()
        self._owned: dict[str, _Owned] = {}
        self._load = self._first_load(section.max_utilization)
        self._metrics = WorkerMetrics(name)
        self._cells = [0, 0]
        self._answered = 0
        self._waiting: dict[int, asyncio.Future[JobResult]] = {}
        self._stepping: asyncio.Task[None] | None = None

    def _first_load(self, most: float) -> Utilization:
        """Nothing was seen yet: what a stream will cost is tried out, on a wide picture."""
        config, spec, model = self._engine.config, self._spec, self._engine.model
        cost = seconds_per_slot(model, config, spec.fit(1920, 1080), self._questions)
        every = spec.slot_seconds
        return Utilization(most, cost / every, max(HORIZON_S, config.window * every), every)

    def model_name(self) -> str:
        """The model that watches; also a sign that the worker is ready."""
        return self._engine.model.name

    def open(self, hello: Hello, epoch: int) -> SessionGrant | Reject:
        """A stream connects, for the first time or again; chunks of lower epochs are refused from
        now on.
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
                return Reject(RejectReason.NO_CAPACITY, str(error), FULL_RETRY_S)
            token_bucket = TokenBucket(RATE_TOLERANCE * self._spec.rate / self._spec.frames)
            owned = self._owned[hello.stream] = _Owned(epoch, grid, token_bucket)
            self._standing.set(hello.stream, self._questions)
        needs_anchor = self._engine.needs_anchor(hello.stream)
        return SessionGrant(owned.epoch, self._spec, owned.next_seq, needs_anchor)

    async def push(self, chunk: Chunk) -> str | Reject | None:
        """Take a chunk in and answer what is due. Returns nothing when all is well, a reason when
        an anchor is needed, a Reject when the connection must end.
        """
        if chunk.stream in self._owned:
            await asyncio.sleep(self._owned[chunk.stream].token_bucket.reserve(time.monotonic()))
        owned = self._owned.get(chunk.stream)
        if owned is None or chunk.epoch != owned.epoch:
            detail = f"stream {chunk.stream}: epoch {chunk.epoch} is over; connect again"
            return Reject(RejectReason.OLD_EPOCH, detail, 1.0)
        try:
            slot = unpack(chunk, self._spec)
        except PatchError as error:
            return Reject(RejectReason.MALFORMED, str(error), 0.0)
        owned.next_seq = chunk.seq + 1
        try:
            result = await self._result(self._submit(chunk.stream, slot))
        except EngineError as error:
            log.warning("slot refused", stream=chunk.stream, error=str(error))
            return str(error)
        self._count(slot, result, owned)
        return None

    async def ask(
        self, stream: str, question: Question, hear: OnToken = ignore_tokens
    ) -> Answer | str:
        """The answer to a question about what a stream shows now, or why there is none."""
        try:
            return (
                await self._result(self._engine.submit_questions(stream, [question], hear))
            ).answers[0]
        except CodecSightError as error:
            return str(error)

    async def ask_stream(
        self, stream: str, question: Question
    ) -> AsyncIterator[PartialAnswer | Answer | str]:
        """The same, with each new word of a spoken answer before it."""
        said: Hearing = asyncio.Queue()

        def hear(_: str, so_far: str) -> None:
            said.put_nowait(PartialAnswer(so_far))

        answering = asyncio.create_task(self.ask(stream, question, hear))
        answering.add_done_callback(said.put_nowait)
        while isinstance(now := await said.get(), PartialAnswer):
            yield now
        yield now.result()

    def close(self, stream: str) -> None:
        """Let a stream go."""
        if self._owned.pop(stream, None) is not None:
            self._engine.close(stream)
            self._load.remove(stream)
            self._standing.set(stream, ())

    def windows(self) -> dict[str, StreamWindow]:
        """What every stream holds here."""
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
        """The worker's numbers since it began."""
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
            spent=_count(status.work.spent),
            recompute=_count(status.work.recompute),
            once=_count(status.work.once),
            answers=self._answered,
        )

    def _admit(self, stream: str, grid: PatchGrid) -> None:
        """Raises DeviceBusy or AdmissionRefused."""
        self._load.admit(stream, time.monotonic())
        try:
            self._engine.open(stream, grid)
        except AdmissionRefused:
            self._load.remove(stream)
            raise

    def _submit(self, stream: str, slot: Slot) -> int:
        """Hand a slot over; an anchor that does not fit what came before starts the window anew,
        as when the edge's clock began again or its camera was set to another shape.
        """
        due = self._standing.of(stream)
        try:
            return self._engine.submit(stream, slot, due)
        except SlotRefused:
            if slot.kind is not SlotKind.ANCHOR:
                raise
            self._begin_anew(stream, PatchGrid(self._spec, *slot.kept.shape))
            return self._engine.submit(stream, slot, due)

    def _begin_anew(self, stream: str, grid: PatchGrid) -> None:
        owned = self._owned[stream]
        if grid == owned.grid:
            self._engine.reset(stream)
            return
        self._engine.close(stream)
        del self._owned[stream]  # it isn't ours again before it was let in
        try:
            self._engine.open(stream, grid)
        except AdmissionRefused:
            self._load.remove(stream)
            raise
        owned.grid = grid
        self._owned[stream] = owned

    async def _result(self, ticket: int) -> JobResult:
        """What becomes of a ticket. Raises what the engine has against it."""
        found = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.create_task(self._step_while_busy())
        result: JobResult = await found
        if result.error is not None:
            raise result.error
        return result

    async def _step_while_busy(self) -> None:
        while self._engine.busy:
            await asyncio.sleep(0)  # whoever has called meanwhile comes along
            started = time.monotonic()
            try:
                results = self._engine.step()
            except Exception:  # its streams were reset; they and all others go on
                log.exception("step failed")
                continue
            finally:
                self._load.record_busy(started, time.monotonic())
            for result in results:
                self._waiting.pop(result.ticket).set_result(result)

    def _count(self, slot: Slot, result: JobResult, owned: _Owned) -> None:
        step, answers = result.slot_result, result.answers
        assert step is not None  # noqa: S101 - a slot has a step or an error
        self._cells[0] += slot.kept_count
        self._cells[1] += slot.cell_count
        self._metrics.tokens.inc(step.prefilled + step.refreshed)
        self._metrics.stage_ms.observe(step.vit_ms, {"stage": "vit"})
        self._metrics.stage_ms.observe(step.prefill_ms, {"stage": "prefill"})
        if answers:
            owned.answers = {answer.question: answer for answer in answers}
            self._answered += len(answers)
            self._metrics.answers.inc(len(answers))


def _engine_config(
    section: EngineSection, model: VisionLanguageModel, spec: GridSpec
) -> EngineConfig:
    """What the file says; memory in bytes is shared out as wide pictures need it."""
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


def _count(flops: Flops) -> FlopCount:
    return FlopCount(float(flops.vit), float(flops.llm))
