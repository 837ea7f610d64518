"""Many streams on one model: who is let in, whose turn it is, what it all costs."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import BlockTable, KVPool, blocks_for
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import EngineConfig
from codecsight.engine.errors import AnchorRequired, EngineError
from codecsight.engine.job import Job
from codecsight.engine.model_runner import Chosen, encode, prefill
from codecsight.engine.request import OnToken, QuestionBatch, build_option_trees, ignore_tokens
from codecsight.engine.resources.flops import FlopMeter, Work
from codecsight.engine.resources.memory import MemoryPlanner
from codecsight.engine.resources.validation import check_grid
from codecsight.engine.results import EngineStatus, JobResult, SessionStats, SlotResult
from codecsight.engine.scheduler import schedule
from codecsight.engine.session import StreamSession
from codecsight.models.base import VisionLanguageModel


class Engine:
    """Serves one call at a time; the caller gives it a thread of its own.

    Slots and questions of many streams are submitted and worked off together by `step`. `push` and
    `ask` do the same for one stream and wait for it.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig | None = None) -> None:
        self.model = model
        self.config = config or EngineConfig()
        self._meter = FlopMeter(model)
        self._sessions: dict[str, StreamSession] = {}
        self._leaving: list[StreamSession] = []
        self._results: list[JobResult] = []
        self._closed = Work()
        self._tickets = 0
        most = self.config.max_question_tokens
        self._build_option_trees = lru_cache(maxsize=256)(
            partial(build_option_trees, model=model, most=most)
        )
        self._memory = MemoryPlanner(model, self.config)
        prefix, self._room = len(model.layout.prefix), self._memory.question_rows
        self._pool = KVPool(model.kv, self._memory.pool_blocks)
        self._scratch = BlockTable(self._pool)
        self._prefix_rows = BlockTable(self._pool).allocate(prefix)
        self._prefix_blocks = blocks_for(prefix)
        self._prefill_prefix()

    # Who is here

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Let a stream in, and set aside what may be kept of it. Raises AdmissionRefused when the
        budget is spent, EngineError for a stream that is open or another model's grid.
        """
        if stream in self._sessions:
            raise EngineError(f"stream {stream!r} is open already; close it first")
        check_grid(self.model, grid)
        self._memory.admit(stream, grid, (session.grid for session in self._everyone))
        self._sessions[stream] = StreamSession(
            stream, self.model, grid, self.config, self._meter, self._pool, self._prefix_rows
        )

    def close(self, stream: str) -> None:
        """Let a stream go, with all that was kept of it; questions that were asked before are
        still answered first.
        """
        session = self._sessions.pop(self._session(stream).stream)
        while session.jobs and session.jobs[-1].slot is not None:
            self._fail(session, session.jobs.pop(), EngineError(f"stream {stream!r} was closed"))
        self._leaving.append(session)
        self._let_go()

    def reset(self, stream: str) -> None:
        """Forget what a stream has shown but keep its place; its next slot must be an anchor."""
        self._drop(self._session(stream), AnchorRequired(stream, "it was reset"))

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._session(stream).needs_anchor

    # Many streams

    def submit(self, stream: str, slot: Slot, due: Sequence[Question] = ()) -> int:
        """Take in a stream's next slot, to be worked off by `step`, and the questions that are due
        if it completes a stride. Returns a ticket, under which there will be one JobResult. Raises
        SlotRefused, with nothing changed, for a slot that does not fit the stream or comes too
        soon, QuestionError for a question this model can't be asked.
        """
        session, question_batch = self._session(stream), self._inquiry(due)
        tokens = session.check(slot)
        slot = replace(slot, kept=slot.kept.copy(), patches=slot.patches.copy())
        return self._add(session, slot=slot, tokens=tokens, question_batch=question_batch)

    def submit_questions(
        self, stream: str, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> int:
        """Queue questions about a stream behind its earlier jobs; returns a ticket, as `submit`.
        `on_token` is called with each new token of free-form answers.
        """
        session = self._session(stream)
        if session.needs_anchor:
            raise EngineError(f"stream {stream!r} has shown nothing yet")
        return self._add(session, question_batch=self._inquiry(questions, on_token))

    def check_questions(self, questions: Sequence[Question]) -> None:
        """Raises QuestionError or EngineError for a question that this model can't be asked."""
        self._inquiry(questions)

    @property
    def busy(self) -> bool:
        """Whether anything waits for `step`."""
        return bool(self._results) or any(session.jobs for session in self._everyone)

    def step(self) -> list[JobResult]:
        """Do the most urgent work of all streams in one pass; returns what is finished. Any failure
        resets the streams that were in the pass, so that none answers from a broken window.
        """
        self._advance()
        results, self._results = self._results, []
        return results

    # One stream

    def push(self, stream: str, slot: Slot) -> SlotResult:
        """Take in a stream's next slot. Raises SlotRefused, with the window unharmed, for a slot
        that does not fit the stream.
        """
        step = self._wait(self.submit(stream, slot)).slot_result
        assert step is not None  # noqa: S101 - a slot has a step or an error
        return step

    def ask(self, stream: str, question: Question) -> Answer:
        """DecodeRequest about what a stream shows now; leaves no trace in its window."""
        return self.ask_all(stream, [question])[0]

    def ask_all(
        self, stream: str, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> list[Answer]:
        """DecodeRequest several questions at once: those with options share one forward pass."""
        return list(self._wait(self.submit_questions(stream, questions, on_token)).answers)

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        streams = {
            name: SessionStats(
                slots=len(session.window.entries),
                tokens=len(session.kv_indices),
                blocks_reserved=self._memory.blocks(session.grid),
                blocks_allocated=session.table.blocks,
                auxiliary_bytes=session.auxiliary_bytes,
                vision_cache_bytes=session.vision_cache_bytes,
                waiting=len(session.jobs),
                needs_anchor=session.needs_anchor,
                work=session.work,
            )
            for name, session in self._sessions.items()
        }
        everyone = self._everyone
        used, bytes_reserved = self._memory.used(session.grid for session in everyone)
        return EngineStatus(
            blocks_reserved=used,
            blocks_free=self.config.kv_blocks - used,
            blocks_allocated=sum(session.table.blocks for session in everyone),
            bytes_reserved=bytes_reserved,
            auxiliary_bytes=sum(session.auxiliary_bytes for session in everyone),
            streams=streams,
            work=sum((session.work for session in everyone), self._closed),
        )

    # A step

    @torch.inference_mode()
    def _advance(self) -> None:
        sessions = self._everyone
        waiting = [session.waiting(number) for number, session in enumerate(sessions)]
        room = self._room - self._scratch.tokens
        due = [each for each in waiting if each is not None]
        shares = schedule(due, self.config.step_tokens, room)
        chosen = [(sessions[share.stream], share) for share in shares]
        try:
            encode(self.model, chosen)
            able = self._with_room(chosen)
            for result in prefill(self.model, self._pool, self._scratch, able):
                self._results.append(result)  # one by one: the next may fail
        except Exception as error:
            for session, _ in chosen:
                self._drop(session, AnchorRequired(session.stream, f"a step failed: {error}"))
            raise
        finally:
            self._let_go()

    def _with_room(self, chosen: list[Chosen]) -> list[Chosen]:
        """Those for whom the pool has blocks. To make some, other streams lose their KV: first
        those that are not in this step, the quietest before the others, then its least urgent.
        """
        able: list[Chosen] = []
        promised = 0
        for session, share in chosen:
            if not session.jobs:  # it was made room of
                continue
            needed = promised + session.missing_blocks()
            keep = [kept for kept, _ in able] + [session]
            while needed > self._free and self._evict_one(keep, [one for one, _ in chosen]):
                pass
            if needed > self._free:
                self._drop(session, AnchorRequired(session.stream, "no KV blocks are left"))
            else:
                promised = needed
                able.append((session, share))
        return able

    def _evict_one(self, keep: list[StreamSession], later: list[StreamSession]) -> bool:
        """Take one stream's KV, if any may be taken."""
        holders = [one for one in self._everyone if one.table.blocks and one not in keep]
        if not holders:
            return False
        victim = min(holders, key=lambda one: (one in later, one.quiet_since))
        self._drop(victim, AnchorRequired(victim.stream, "its KV blocks were needed"))
        return True

    # Odds and ends

    @property
    def _everyone(self) -> list[StreamSession]:
        return [*self._sessions.values(), *self._leaving]

    @property
    def _free(self) -> int:
        """Blocks that windows may take; what questions may need is not among them."""
        return self._pool.free_blocks - (blocks_for(self._room) - self._scratch.blocks)

    def _session(self, stream: str) -> StreamSession:
        if stream not in self._sessions:
            raise EngineError(f"stream {stream!r} is not open here")
        return self._sessions[stream]

    def _prefill_prefix(self) -> None:
        """What all streams' sequences begin with, once for all, at position 0."""
        rows, prefix = self._prefix_rows, self.model.layout.prefix
        run = PackedSegment(
            prefix, self.model.no_cells(), rows, np.arange(len(rows)), AttentionSpan.causal(rows)
        )
        with torch.inference_mode():
            forward(self.model, self._pool, [run], KVCopies.join([]))

    def _inquiry(
        self, questions: Sequence[Question], on_token: OnToken = ignore_tokens
    ) -> QuestionBatch | None:
        if not questions:
            return None
        typed = tuple(each for each in questions if not each.free_form)
        most, words = self.config.max_question_tokens, self.config.max_answer_tokens
        question_batch = QuestionBatch(
            questions, self._build_option_trees(typed), self.model, words, on_token
        )
        longest = max(len(ask.tree) for ask in question_batch.asks)
        if longest > most:
            raise EngineError(f"a question of {longest} tokens; {most} are allowed")
        return question_batch

    def _add(self, session: StreamSession, **what: Any) -> int:
        self._tickets += 1
        now = time.perf_counter()
        session.add(Job(ticket=self._tickets, arrived=now, since=now, **what))
        return self._tickets

    def _wait(self, ticket: int) -> JobResult:
        """Step until this ticket's result is there; the others' stay for `step`."""
        try:
            while not any(result.ticket == ticket for result in self._results):
                self._advance()
        finally:
            mine = [result for result in self._results if result.ticket == ticket]
            self._results = [result for result in self._results if result.ticket != ticket]
        if mine[0].error is not None:
            raise mine[0].error
        return mine[0]

    def _drop(self, session: StreamSession, error: AnchorRequired) -> None:
        """Reset a stream; what waited is told why."""
        for job in session.reset(self._scratch):
            self._fail(session, job, error)

    def _fail(self, session: StreamSession, job: Job, error: CodecSightError) -> None:
        self._results.append(JobResult(job.ticket, session.stream, error=error))

    def _let_go(self) -> None:
        """Free what streams that are closed and have nothing left to answer still hold."""
        for session in [one for one in self._leaving if not one.jobs]:
            self._closed += session.work
            session.reset(self._scratch)
            self._leaving.remove(session)
