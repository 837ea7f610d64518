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
from codecsight.engine.attention import Copies, Run, View, forward
from codecsight.engine.config import EngineConfig
from codecsight.engine.errors import EngineError, NeedAnchor
from codecsight.engine.job import Job
from codecsight.engine.model_runner import Chosen, encode, prefill
from codecsight.engine.pool import BlockTable, KVPool
from codecsight.engine.request import Hear, Inquiry, deaf, lay_out
from codecsight.engine.resources.flops import FlopMeter, Work
from codecsight.engine.resources.memory import Budget
from codecsight.engine.resources.validation import blocks, check_grid
from codecsight.engine.results import Result, Step
from codecsight.engine.scheduler import plan
from codecsight.engine.session import StreamSession
from codecsight.engine.status import EngineStatus, StreamStatus
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
        self._results: list[Result] = []
        self._closed = Work()
        self._tickets = 0
        most = self.config.max_question_tokens
        self._lay_out = lru_cache(maxsize=256)(partial(lay_out, model=model, most=most))
        self._budget = Budget(model, self.config)
        prefix, self._room = len(model.layout.prefix), self._budget.question_rows
        self._pool = KVPool(model.kv, self._budget.pool_blocks)
        self._scratch = BlockTable(self._pool)
        self._prefix_rows = BlockTable(self._pool).take(prefix)
        self._prefix_blocks = blocks(prefix)
        self._prefill_prefix()

    # Who is here

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Let a stream in, and set aside what may be kept of it. Raises AdmissionRefused when the
        budget is spent, EngineError for a stream that is open or another model's grid.
        """
        if stream in self._sessions:
            raise EngineError(f"stream {stream!r} is open already; close it first")
        check_grid(self.model, grid)
        self._budget.admit(stream, grid, (session.grid for session in self._everyone))
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
        self._drop(self._session(stream), NeedAnchor(stream, "it was reset"))

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._session(stream).needs_anchor

    # Many streams

    def submit(self, stream: str, slot: Slot, due: Sequence[Question] = ()) -> int:
        """Take in a stream's next slot, to be worked off by `step`, and the questions that are due
        if it completes a stride. Returns a ticket, under which there will be one Result. Raises
        SlotRefused, with nothing changed, for a slot that does not fit the stream or comes too
        soon, QuestionError for a question this model can't be asked.
        """
        session, inquiry = self._session(stream), self._inquiry(due)
        tokens = session.check(slot)
        slot = replace(slot, kept=slot.kept.copy(), patches=slot.patches.copy())
        return self._add(session, slot=slot, tokens=tokens, inquiry=inquiry)

    def inquire(self, stream: str, questions: Sequence[Question], hear: Hear = deaf) -> int:
        """Ask about what a stream shows once all that waits before is done; as `submit`. Nobody
        but `hear` is told the words of what is said, as they come.
        """
        session = self._session(stream)
        if session.needs_anchor:
            raise EngineError(f"stream {stream!r} has shown nothing yet")
        return self._add(session, inquiry=self._inquiry(questions, hear))

    def check_questions(self, questions: Sequence[Question]) -> None:
        """Raises QuestionError or EngineError for a question that this model can't be asked."""
        self._inquiry(questions)

    @property
    def busy(self) -> bool:
        """Whether anything waits for `step`."""
        return bool(self._results) or any(session.jobs for session in self._everyone)

    def step(self) -> list[Result]:
        """Do the most urgent work of all streams in one pass; returns what is finished. Any failure
        resets the streams that were in the pass, so that none answers from a broken window.
        """
        self._advance()
        results, self._results = self._results, []
        return results

    # One stream

    def push(self, stream: str, slot: Slot) -> Step:
        """Take in a stream's next slot. Raises SlotRefused, with the window unharmed, for a slot
        that does not fit the stream.
        """
        step = self._wait(self.submit(stream, slot)).step
        assert step is not None  # noqa: S101 - a slot has a step or an error
        return step

    def ask(self, stream: str, question: Question) -> Answer:
        """Ask about what a stream shows now; leaves no trace in its window."""
        return self.ask_all(stream, [question])[0]

    def ask_all(
        self, stream: str, questions: Sequence[Question], hear: Hear = deaf
    ) -> list[Answer]:
        """Ask several questions at once: those with options share one forward pass."""
        return list(self._wait(self.inquire(stream, questions, hear)).answers)

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        streams = {
            name: StreamStatus(
                slots=len(session.window.entries),
                tokens=len(session.rows),
                blocks=self._budget.blocks(session.grid),
                held=session.table.blocks,
                beside=session.beside,
                remembered=session.remembered,
                waiting=len(session.jobs),
                needs_anchor=session.needs_anchor,
                work=session.work,
            )
            for name, session in self._sessions.items()
        }
        everyone = self._everyone
        used, bytes_used = self._budget.used(session.grid for session in everyone)
        return EngineStatus(
            blocks_used=used,
            blocks_free=self.config.kv_blocks - used,
            blocks_held=sum(session.table.blocks for session in everyone),
            bytes_used=bytes_used,
            bytes_beside=sum(session.beside for session in everyone),
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
        shares = plan(due, self.config.step_tokens, room)
        chosen = [(sessions[share.stream], share) for share in shares]
        try:
            encode(self.model, chosen)
            able = self._with_room(chosen)
            for result in prefill(self.model, self._pool, self._scratch, able):
                self._results.append(result)  # one by one: the next may fail
        except Exception as error:
            for session, _ in chosen:
                self._drop(session, NeedAnchor(session.stream, f"a step failed: {error}"))
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
                self._drop(session, NeedAnchor(session.stream, "no KV blocks are left"))
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
        self._drop(victim, NeedAnchor(victim.stream, "its KV blocks were needed"))
        return True

    # Odds and ends

    @property
    def _everyone(self) -> list[StreamSession]:
        return [*self._sessions.values(), *self._leaving]

    @property
    def _free(self) -> int:
        """Blocks that windows may take; what questions may need is not among them."""
        return self._pool.free - (blocks(self._room) - self._scratch.blocks)

    def _session(self, stream: str) -> StreamSession:
        if stream not in self._sessions:
            raise EngineError(f"stream {stream!r} is not open here")
        return self._sessions[stream]

    def _prefill_prefix(self) -> None:
        """What all streams' sequences begin with, once for all, at position 0."""
        rows, prefix = self._prefix_rows, self.model.layout.prefix
        run = Run(prefix, self.model.no_cells(), rows, np.arange(len(rows)), View.causal(rows))
        with torch.inference_mode():
            forward(self.model, self._pool, [run], Copies.join([]))

    def _inquiry(self, questions: Sequence[Question], hear: Hear = deaf) -> Inquiry | None:
        if not questions:
            return None
        typed = tuple(each for each in questions if not each.free_form)
        most, words = self.config.max_question_tokens, self.config.max_answer_tokens
        inquiry = Inquiry(questions, self._lay_out(typed), self.model, words, hear)
        longest = max(len(ask.tree) for ask in inquiry.asks)
        if longest > most:
            raise EngineError(f"a question of {longest} tokens; {most} are allowed")
        return inquiry

    def _add(self, session: StreamSession, **what: Any) -> int:
        self._tickets += 1
        now = time.perf_counter()
        session.add(Job(ticket=self._tickets, arrived=now, since=now, **what))
        return self._tickets

    def _wait(self, ticket: int) -> Result:
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

    def _drop(self, session: StreamSession, error: NeedAnchor) -> None:
        """Reset a stream; what waited is told why."""
        for job in session.reset(self._scratch):
            self._fail(session, job, error)

    def _fail(self, session: StreamSession, job: Job, error: CodecSightError) -> None:
        self._results.append(Result(job.ticket, session.stream, error=error))

    def _let_go(self) -> None:
        """Free what streams that are closed and have nothing left to answer still hold."""
        for session in [one for one in self._leaving if not one.jobs]:
            self._closed += session.work
            session.reset(self._scratch)
            self._leaving.remove(session)
