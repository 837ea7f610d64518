"""One stream: its window, its rows in the pool, and what waits to be done for it.

No two sessions hold the same row, so no stream can read another's keys or features.
"""

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Slot
from codecsight.engine.attention.pool import BlockTable, KVPool, Rows
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import EngineConfig, EvictionPolicy, QueryView
from codecsight.engine.encoder_input import EncodeRequest, EncoderInput, LatestFeatures
from codecsight.engine.errors import SlotRefused
from codecsight.engine.job import BatchItem, Job, Prefill
from codecsight.engine.query_context import QueryContext, build_query_context, query_context_tokens
from codecsight.engine.refresh import refresh_policy
from codecsight.engine.request import DecodeRequest
from codecsight.engine.resources.flops import FlopMeter, Flops, Work
from codecsight.engine.resources.memory import slot_tokens, window_extent
from codecsight.engine.resources.validation import check_slot
from codecsight.engine.results import JobResult, SlotResult
from codecsight.engine.scheduler import QuestionCost, StreamDemand
from codecsight.engine.window import CachedSlot, Window, slot_time
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens


class StreamSession:
    """What the engine knows of one stream. All it may ever hold is bounded at construction."""

    def __init__(
        self,
        stream: str,
        model: VisionLanguageModel,
        grid: PatchGrid,
        config: EngineConfig,
        meter: FlopMeter,
        pool: KVPool,
        prefix_rows: Rows,
    ) -> None:
        self.stream, self.grid, self.config = stream, grid, config
        self.model, self.meter = model, meter
        self.table = BlockTable(pool)
        self.work = Work()
        self.jobs: deque[Job] = deque()
        self.kv_indices: Rows = np.arange(0)
        self.window = Window(model.layout.prefix)
        self._query_context: QueryContext | None = None
        self._refresh = refresh_policy(config.refresh)
        self._rebase_at = max(config.rebase_at, 4 * window_extent(model, grid, config))
        self._slot_tokens = slot_tokens(model, grid)
        self._dense_vit = meter.vit(np.ones((grid.rows, grid.cols), np.bool_))
        self._present_tokens = 0 if config.query_view is QueryView.LAST_SLOT else self._slot_tokens
        self._prefix_rows = prefix_rows
        self._memory = (
            model.new_vision_kv_cache(grid.rows, grid.cols) if config.vision_kv_cache else None
        )
        self._begin_anew()

    def reset(self, scratch: BlockTable) -> list[Job]:
        """Forget what was seen and give up all KV; the next slot must be an anchor. Returns the
        jobs that are lost by it.
        """
        lost, self.jobs = list(self.jobs), deque()
        for job in lost:
            for ask in job.question_batch.asks if job.question_batch else []:
                scratch.free(ask.rows)
        self._drop_standpoint()
        self._begin_anew()
        return lost

    def _begin_anew(self) -> None:
        self.table.free(self.kv_indices)
        self.kv_indices = np.arange(0)
        self.window = Window(self.model.layout.prefix)
        self.latest_features = LatestFeatures()
        self.encoder_input = EncoderInput(
            self.config.neighbour_radius, self.config.static_threshold, self._memory
        )
        self.quiet_since = time.perf_counter()
        self._prefix_at: int | None = None
        self._last: float | None = None
        self._seen = 0

    @property
    def vision_cache_bytes(self) -> int:
        """Bytes of what the ViT remembers."""
        return 0 if self._memory is None else self._memory.nbytes

    @property
    def auxiliary_bytes(self) -> int:
        """Bytes that are kept beside the pool right now (see `budget`)."""
        said = self.latest_features.nbytes + sum(
            entry.features.nbytes for entry in self.window.slots
        )
        waiting = sum(job.slot.patches.nbytes for job in self.jobs if job.slot is not None)
        return self.vision_cache_bytes + said + self.encoder_input.nbytes + waiting

    @property
    def needs_anchor(self) -> bool:
        """Whether nothing has come yet that a delta could build on."""
        return self._last is None

    # What comes in

    def check(self, slot: Slot) -> Tokens:
        """A slot's tokens, if it fits the stream. Raises SlotRefused."""
        check_slot(self.stream, slot, self.grid, self._last)
        slots = sum(job.slot is not None for job in self.jobs)
        if slots >= self.config.max_waiting:
            raise SlotRefused(
                f"stream {self.stream!r}: {slots} slots wait already; send slower, then an anchor"
            )
        tokens = self.model.layout.slot(slot_time(slot.times), slot.kept)
        if len(tokens) > self._slot_tokens:
            raise SlotRefused(f"stream {self.stream!r}: no room for the time stamp {slot.times}")
        return tokens

    def add(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        self.jobs.append(job)
        if job.slot is not None:
            self._last = job.slot.times[-1]
        self.quiet_since = job.arrived

    def waiting(self, number: int) -> StreamDemand | None:
        """What the scheduler must know of the next job, under this stream's number."""
        if not self.jobs:
            return None
        job = self.jobs[0]
        if job.slot is not None and job.prefill is None:
            job.prefill = self._begin(job, job.slot)
        prefill = job.prefill
        asks = job.question_batch.asks if job.question_batch else []
        return StreamDemand(
            stream=number,
            since=job.since,
            cells=0 if prefill is None or job.encoded else len(prefill.look.own),
            tokens=prefill.left if prefill else 0,
            asks=tuple(_due(ask) for ask in asks),
            setup=0 if self._query_context else query_context_tokens(self) if asks else 0,
        )

    def _begin(self, job: Job, slot: Slot) -> Prefill:
        """Make room for a slot and give it its place; nothing is computed yet."""
        assert job.tokens is not None  # noqa: S101 - a slot was checked before it was added
        self._drop_standpoint()
        entry = CachedSlot(
            slot.kind, slot.kept, slot.times, slot.capture_time, job.tokens, self.model.no_cells()
        )
        evicted, rebased, stale = self._make_room(entry)
        self.window.append(entry)
        self._seen += 1
        moved = (self._seen - self.config.window) % self.config.stride == 0
        if not moved:
            job.question_batch = None
        self._arrived = job.arrived
        indices = [*stale, len(self.window.slots) - 1]
        look, places = self.encoder_input.look(slot), self.window.places(indices)
        return Prefill(entry, look, indices, places, evicted, rebased, moved)

    def _make_room(self, entry: CachedSlot) -> tuple[int, bool, list[int]]:
        """Tokens evicted, whether positions begin anew, and which slots must be computed again."""
        if len(self.window.entries) < self.config.window:
            return 0, False, []
        superseding = entry.kept if self.config.eviction is EvictionPolicy.SUPERSEDED else None
        stay = self.window.evict(self.config.stride, superseding)
        self.table.free(self.kv_indices[~stay])
        self.kv_indices = self.kv_indices[stay]
        rebased = self.window.next_position + entry.tokens.extent > self._rebase_at
        if rebased:
            self.window.renumber()
        slots = self.window.slots
        again = [True] * len(slots) if rebased else self._refresh(slots)
        return int((~stay).sum()), rebased, [index for index, yes in enumerate(again) if yes]

    # What goes into a pass

    @property
    def unseen(self) -> EncodeRequest | None:
        """What the ViT must look at for the next job, if it hasn't yet."""
        job = self.jobs[0]
        return None if job.prefill is None or job.encoded else job.prefill.look

    def encoded(self, features: CellFeatures, vit_ms: float) -> None:
        """The ViT has said this of what is fresh in the next job's slot."""
        prefill = self.jobs[0].prefill
        assert prefill is not None  # noqa: S101 - it was planned
        entry, look = prefill.entry, prefill.look
        self.latest_features.update(look.fresh, features)
        all_fresh = len(features) == entry.kept_count
        entry.features = features if all_fresh else self.latest_features.of(entry.kept)
        prefill.vit_ms = vit_ms
        slots = [self.window.slots[index] for index in prefill.indices]
        prefill.tokens = Tokens.join([slot.tokens.shifted(slot.start) for slot in slots])
        prefill.cells = CellFeatures.join([slot.features for slot in slots])
        prefill.spent = Flops(vit=look.cost(self.meter))

    def missing_blocks(self) -> int:
        """What the pool must have for the next job: rows for its slot, or for a standpoint."""
        rows = self.window.length - len(self.kv_indices)
        return self.table.missing(rows + self._present_tokens)

    def part(self, tokens: int, asks: int, scratch: BlockTable) -> BatchItem:
        """The runs of the next pass: so many tokens of the slot, so many questions, which are given
        rows of `scratch`.
        """
        part, job = BatchItem(), self.jobs[0]
        if tokens and job.prefill is not None:
            part.runs.append(self._chunk(job.prefill, tokens))
            part.prefilled = tokens
            if self._prefix_at != self.window.prefix_start:
                part.copies.append(self._move_prefix())
        if asks and job.question_batch is not None:
            if self._query_context is None:
                fresh = build_query_context(self)
                part.runs += fresh.runs
                part.copies += fresh.copies
                self._query_context = fresh.done()
            part.asks = job.question_batch.asks[:asks]
            part.runs += [self._question(ask, scratch) for ask in part.asks]
        return part

    def _chunk(self, prefill: Prefill, count: int) -> PackedSegment:
        if len(self.kv_indices) < self.window.length:
            fresh = self.table.allocate(self.window.length - len(self.kv_indices))
            self.kv_indices = np.concatenate([self.kv_indices, fresh])
        places = prefill.places[prefill.done : prefill.done + count]
        tokens, cells = prefill.chunk(count)
        view = AttentionSpan.causal(self.kv_indices[: places[-1] + 1])
        return PackedSegment(tokens, cells, self.kv_indices[places], places, view)

    def _move_prefix(self) -> KVCopies:
        """Let the prefix stand just before the window; from the pristine one, so that rounding does
        not add up.
        """
        self._prefix_at = self.window.prefix_start
        count = len(self._prefix_rows)
        return KVCopies(self._prefix_rows, self.kv_indices[:count], np.full(count, self._prefix_at))

    def _question(self, ask: DecodeRequest, scratch: BlockTable) -> PackedSegment:
        view = (
            self._query_context.view if self._query_context else AttentionSpan.past(self.kv_indices)
        )
        if not len(ask.rows):
            ask.rows = scratch.allocate(ask.size)
        past, rows = ask.rows[: ask.asked], ask.rows[ask.asked : ask.asked + len(ask.tree)]
        at = np.arange(len(rows))
        tokens = ask.tree.tokens.shifted(self.window.next_position + ask.asked)
        seen = view.then(AttentionSpan.past(past)).then(
            AttentionSpan(rows, at, ask.tree.subtree_ends)
        )
        return PackedSegment(tokens, self.model.no_cells(), rows, at, seen, ask.read)

    def _drop_standpoint(self) -> None:
        if self._query_context is not None:
            self.table.free(self._query_context.rows)
            self._query_context = None

    # What comes out of it

    def done(
        self, part: BatchItem, logits: Sequence[Tensor], scratch: BlockTable, ms: float
    ) -> JobResult | None:
        """Take in a pass over `part`; the result of the next job if that was its last."""
        job = self.jobs[0]
        for run in part.runs:
            self._spend_run(run, job.prefill if part.prefilled and run is part.runs[0] else None)
        if job.prefill is not None:
            job.prefill.done += part.prefilled
            job.prefill.prefill_ms += ms
        for ask, said in zip(part.asks, logits[len(part.runs) - len(part.asks) :], strict=True):
            self._heard(job, ask, said, scratch)
        if (job.prefill and job.prefill.left) or (job.question_batch and job.question_batch.asks):
            return None
        self.jobs.popleft()
        if self.jobs:
            self.jobs[0].since = max(self.jobs[0].arrived, time.perf_counter())
        step = self._step(job.prefill) if job.prefill else None
        return JobResult(job.ticket, self.stream, step, self._answers(job))

    def _spend_run(self, run: PackedSegment, prefill: Prefill | None) -> None:
        spent = Flops(llm=self.meter.llm(len(run.tokens), len(run.view), len(run.read)))
        if prefill is not None:
            prefill.spent += spent
        else:
            self.work += Work(spent=spent)

    def _heard(self, job: Job, ask: DecodeRequest, logits: Tensor, scratch: BlockTable) -> None:
        keys = self.window.dense_length + ask.asked + len(ask.tree)
        dense = Flops(llm=self.meter.llm(len(ask.tree), keys, len(ask.read)))
        self.work += Work(recompute=dense, once=dense)
        if ask.take(logits):
            scratch.free(ask.rows)
            assert job.question_batch is not None  # noqa: S101 - it asked
            job.question_batch.asks.remove(ask)

    def _step(self, prefill: Prefill) -> SlotResult:
        self.window.mark_prefilled(prefill.indices)
        work = self._cost(prefill)
        self.work += work
        own = prefill.entry.length
        return SlotResult(
            stream=self.stream,
            slots=len(self.window.entries),
            prefilled=own,
            refreshed=len(prefill.places) - own,
            evicted=prefill.evicted,
            rebased=prefill.rebased,
            moved=prefill.moved,
            work=work,
            vit_ms=prefill.vit_ms,
            prefill_ms=prefill.prefill_ms,
        )

    def _cost(self, prefill: Prefill) -> Work:
        """What this slot cost, and what it would have cost the dense twins."""
        meter, vit, dense = self.meter, self._dense_vit, self.window.dense_length
        slots = len(self.window.entries)
        whole = prefill.entry.dense_length
        again = Flops(slots * vit, meter.llm(dense, dense))
        return Work(
            spent=prefill.spent,
            recompute=again if prefill.moved else Flops(),
            once=Flops(vit, meter.llm(whole, dense)),
        )

    def _answers(self, job: Job) -> tuple[Answer, ...]:
        if job.question_batch is None:
            return ()
        entries, found = self.window.entries, job.question_batch.scored
        latency_ms = (time.perf_counter() - self._arrived) * 1e3
        return tuple(
            Answer(
                stream=self.stream,
                question=question.text,
                value=found[index].value,
                probability=found[index].probability,
                start=entries[0].times[0],
                end=entries[-1].times[-1],
                capture_time=entries[-1].capture_time,
                latency_ms=latency_ms,
                cells_kept=sum(entry.kept_count for entry in entries),
                cells_total=len(entries) * self.grid.cells,
            )
            for index, question in enumerate(job.question_batch.questions)
        )


def _due(ask: DecodeRequest) -> QuestionCost:
    return QuestionCost(tokens=len(ask.tree), rows=0 if len(ask.rows) else ask.size)
