"""The engine: many streams on one model and one device.

Each `step` prepares every stream's next job, schedules part of the work, runs the ViT, makes room
in the KV pool, runs the text model, and returns the results of finished jobs:

    demands      StreamDemand per stream        what the next job needs
    allocations  Allocation per chosen stream   what this step computes of it
    encode       features [cells, d]            slots of all chosen streams, one ViT call
    text model   logits per question            slots and questions, one packed call
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import IndexAllocator, KVPool, blocks_for
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import EngineConfig
from codecsight.engine.errors import AnchorRequired, EngineError
from codecsight.engine.job import Job
from codecsight.engine.model_runner import Scheduled, encode, run_text_model
from codecsight.engine.preparation import PreparedSlot, Preparer
from codecsight.engine.request import OnToken, QuestionBatch, ignore_tokens
from codecsight.engine.resources.flops import FlopMeter, Work
from codecsight.engine.resources.memory import MemoryPlanner
from codecsight.engine.resources.validation import check_grid
from codecsight.engine.results import EngineStatus, JobResult, SessionStats, SlotResult
from codecsight.engine.scheduler import StreamDemand, schedule
from codecsight.engine.session import StreamSession
from codecsight.models.base import VisionLanguageModel


class Engine:
    """Slots and questions of many streams are submitted, and computed together by `step`. `push`
    and `ask` do the same for one stream and wait for the result.

    Not thread-safe: the caller makes one call at a time, best from a thread of its own.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig | None = None) -> None:
        self.model = model
        self.config = config or EngineConfig()
        self._meter = FlopMeter(model)
        self._sessions: dict[str, StreamSession] = {}
        self._closing: list[StreamSession] = []
        self._results: list[JobResult] = []
        self._closed_work = Work()
        self._tickets = 0
        self.preparer = Preparer(model, self.config)
        self._memory = MemoryPlanner(model, self.config)
        self._pool = KVPool(model.kv, self._memory.pool_blocks)
        # Questions have blocks of their own, so that windows cannot starve them.
        self._scratch = IndexAllocator(self._pool)
        prefix_length = len(model.layout.prefix)
        self._prefix_indices = IndexAllocator(self._pool).allocate(prefix_length)
        self._prefix_blocks = blocks_for(prefix_length)
        self._prefill_prefix()

    # Streams

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Open a stream and reserve its memory. Raises AdmissionRefused when there is not enough,
        EngineError for a stream that is open already or a grid of another model.
        """
        if stream in self._sessions:
            raise EngineError(f"stream {stream!r} is open already; close it first")
        check_grid(self.model, grid)
        self._memory.admit(stream, grid, (session.grid for session in self._all_sessions))
        self._sessions[stream] = StreamSession(
            stream, self.model, grid, self.config, self._meter, self._pool, self._prefix_indices
        )

    def close(self, stream: str) -> None:
        """Close a stream: slots behind its last question fail, jobs up to that are finished, then
        its memory is freed. Its name can be opened again at once.
        """
        session = self._sessions.pop(self._session(stream).stream)
        while session.jobs and session.jobs[-1].slot is not None:
            self._fail(session, session.jobs.pop(), EngineError(f"stream {stream!r} was closed"))
        self._closing.append(session)
        self._free_closed()

    def reset(self, stream: str) -> None:
        """Discard a stream's window but keep its reservation: its queued jobs fail, and its next
        slot must be an anchor.
        """
        self._reset(self._session(stream), AnchorRequired(stream, "it was reset"))

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._session(stream).needs_anchor

    # Many streams

    def submit(self, stream: str, slot: Slot, questions: Sequence[Question] = ()) -> int:
        """Queue a stream's next slot, and the questions that are due if it completes a stride.
        Returns a ticket, under which `step` returns one JobResult. Raises SlotRefused, with nothing
        changed, for a slot that does not fit the stream or comes too soon, QuestionError for a
        question that this model cannot be asked.
        """
        self._session(stream)
        batch = self.preparer.questions(questions)
        return self.submit_prepared(stream, self.preparer.slot(stream, slot), batch)

    def submit_prepared(
        self, stream: str, prepared: PreparedSlot, question_batch: QuestionBatch | None = None
    ) -> int:
        """As `submit`, with what the engine's `preparer` has prepared, on whichever thread."""
        session = self._session(stream)
        session.check(prepared)
        slot, tokens = prepared.slot, prepared.tokens
        return self._add(session, slot=slot, tokens=tokens, question_batch=question_batch)

    def submit_questions(
        self, stream: str, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> int:
        """Queue questions about a stream behind its earlier jobs; returns a ticket, as `submit`.
        `on_token` is called with each new token of free-form answers.
        """
        batch = self.preparer.questions(questions, on_token)
        return self.submit_question_batch(stream, batch)

    def submit_question_batch(self, stream: str, question_batch: QuestionBatch | None) -> int:
        """As `submit_questions`, with a batch that the engine's `preparer` has prepared."""
        session = self._session(stream)
        if session.needs_anchor:
            raise EngineError(f"stream {stream!r} has no slots yet")
        return self._add(session, question_batch=question_batch)

    def check_questions(self, questions: Sequence[Question]) -> None:
        """Raise QuestionError or EngineError for a question that this model cannot be asked."""
        self.preparer.questions(questions)

    @property
    def busy(self) -> bool:
        """Whether `step` has something to do or to return."""
        return bool(self._results) or any(session.jobs for session in self._all_sessions)

    def step(self) -> list[JobResult]:
        """Compute the most urgent work of all streams; returns the results of finished jobs. After
        any exception the streams of this step are reset, so that none answers from a window that is
        half computed.
        """
        self._compute()
        results, self._results = self._results, []
        return results

    # One stream

    def push(self, stream: str, slot: Slot) -> SlotResult:
        """Prefill a stream's next slot. Raises SlotRefused, with the window unchanged, for a slot
        that does not fit the stream.
        """
        slot_result = self._wait(self.submit(stream, slot)).slot_result
        assert slot_result is not None  # noqa: S101 - a slot has a result or an error
        return slot_result

    def ask(self, stream: str, question: Question) -> Answer:
        """Answer a question about the stream's window, which stays unchanged."""
        return self.ask_all(stream, [question])[0]

    def ask_all(
        self, stream: str, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> list[Answer]:
        """Answer several questions; those with options share one call of the text model."""
        return list(self._wait(self.submit_questions(stream, questions, on_token)).answers)

    def status(self) -> EngineStatus:
        """Memory, queues and work, per stream and in total."""
        streams = {
            name: SessionStats(
                slots=len(session.window.entries),
                tokens=len(session.paged.kv_indices),
                blocks_reserved=self._memory.blocks(session.grid),
                blocks_allocated=session.paged.allocator.blocks,
                auxiliary_bytes=session.auxiliary_bytes,
                vision_cache_bytes=session.vision_cache_bytes,
                waiting=len(session.jobs),
                needs_anchor=session.needs_anchor,
                work=session.account.work,
            )
            for name, session in self._sessions.items()
        }
        sessions = self._all_sessions
        blocks_reserved, bytes_reserved = self._memory.reserved(one.grid for one in sessions)
        return EngineStatus(
            blocks_reserved=blocks_reserved,
            blocks_free=self.config.kv_blocks - blocks_reserved,
            blocks_allocated=sum(session.paged.allocator.blocks for session in sessions),
            bytes_reserved=bytes_reserved,
            auxiliary_bytes=sum(session.auxiliary_bytes for session in sessions),
            streams=streams,
            work=sum((session.account.work for session in sessions), self._closed_work),
        )

    # A step

    @torch.inference_mode()
    def _compute(self) -> None:
        sessions = self._all_sessions
        allocations = schedule(
            self._demands(sessions),
            self.config.step_tokens,
            self._memory.question_tokens - self._scratch.tokens,
        )
        scheduled = [(sessions[allocation.stream_index], allocation) for allocation in allocations]
        try:
            # Before there are blocks for all: a stream that gets none is reset, its features
            # wasted; that is rare, and the ViT's memory is not the pool's.
            encode(self.model, scheduled)
            with_blocks = self._ensure_blocks(scheduled)
            for result in run_text_model(self.model, self._pool, self._scratch, with_blocks):
                self._results.append(result)  # one by one: a later stream may fail
        except Exception as error:
            for session, _ in scheduled:
                self._reset(session, AnchorRequired(session.stream, f"a step failed: {error}"))
            raise
        finally:
            self._free_closed()

    def _demands(self, sessions: list[StreamSession]) -> list[StreamDemand]:
        """What every stream needs next. For it, queued slots are placed in their windows, which
        evicts and slides: if that fails, only the stream it failed for is reset.
        """
        demands = []
        for number, session in enumerate(sessions):
            for job in session.drop_cancelled(self._scratch):
                self._fail(session, job, EngineError("nobody waits for the answer any more"))
            try:
                demand = session.prepare_next(number)
            except Exception as error:  # noqa: BLE001 - it becomes the result of the stream's jobs
                reason = f"its slot could not be placed: {error}"
                self._reset(session, AnchorRequired(session.stream, reason))
                continue
            if demand is not None:
                demands.append(demand)
        return demands

    def _ensure_blocks(self, scheduled: list[Scheduled]) -> list[Scheduled]:
        """The scheduled streams for which the pool has enough blocks, most urgent first. Other
        streams lose their KV for it: first those outside this step, the one idle longest before
        the others.
        """
        served: list[Scheduled] = []
        promised = 0
        for session, allocation in scheduled:
            if not session.jobs:  # it has lost its KV to a more urgent stream, above
                continue
            needed = promised + session.blocks_needed()
            protected = [one for one, _ in served] + [session]
            in_step = [one for one, _ in scheduled]
            while needed > self._free_blocks and self._preempt(protected, in_step):
                pass
            if needed > self._free_blocks:
                self._reset(session, AnchorRequired(session.stream, "no KV blocks are left"))
            else:
                promised = needed
                served.append((session, allocation))
        return served

    def _preempt(self, protected: list[StreamSession], in_step: list[StreamSession]) -> bool:
        """Free the KV of one stream that is not `protected`; returns whether there was one."""
        candidates = [
            session
            for session in self._all_sessions
            if session.paged.allocator.blocks and session not in protected
        ]
        if not candidates:
            return False
        victim = min(candidates, key=lambda session: (session in in_step, session.last_submitted))
        self._reset(victim, AnchorRequired(victim.stream, "its KV blocks were needed"))
        return True

    @property
    def _free_blocks(self) -> int:
        """Blocks that windows may allocate: those that questions may still need are left out."""
        question_blocks = blocks_for(self._memory.question_tokens)
        return self._pool.free_blocks - (question_blocks - self._scratch.blocks)

    def _prefill_prefix(self) -> None:
        """Prefill the prefix that all streams share, at position 0."""
        indices, prefix = self._prefix_indices, self.model.layout.prefix
        positions, span = np.arange(len(indices)), AttentionSpan.causal(indices)
        segment = PackedSegment(prefix, self.model.no_cells(), indices, positions, span)
        with torch.inference_mode():
            forward(self.model, self._pool, [segment], KVCopies.join([]))

    # Jobs

    def _add(self, session: StreamSession, **parts: Any) -> int:
        self._tickets += 1
        now = time.perf_counter()
        session.add(Job(ticket=self._tickets, arrived=now, since=now, **parts))
        return self._tickets

    def _wait(self, ticket: int) -> JobResult:
        """Step until the result of this ticket is there; other results stay for `step`."""
        try:
            while not any(result.ticket == ticket for result in self._results):
                self._compute()
        finally:
            found = [result for result in self._results if result.ticket == ticket]
            self._results = [result for result in self._results if result.ticket != ticket]
        if found[0].error is not None:
            raise found[0].error
        return found[0]

    # Sessions

    @property
    def _all_sessions(self) -> list[StreamSession]:
        return [*self._sessions.values(), *self._closing]

    def _session(self, stream: str) -> StreamSession:
        if stream not in self._sessions:
            raise EngineError(f"stream {stream!r} is not open here")
        return self._sessions[stream]

    def _reset(self, session: StreamSession, error: AnchorRequired) -> None:
        """Reset a stream; its queued jobs fail with `error`."""
        for job in session.reset(self._scratch):
            self._fail(session, job, error)

    def _fail(self, session: StreamSession, job: Job, error: CodecSightError) -> None:
        self._results.append(JobResult(job.ticket, session.stream, error=error))

    def _free_closed(self) -> None:
        """Free the memory of closed streams that have nothing left to answer."""
        for session in [one for one in self._closing if not one.jobs]:
            self._closed_work += session.account.work
            session.reset(self._scratch)
            self._closing.remove(session)
