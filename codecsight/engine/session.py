"""One stream: its queue of jobs, its window, and its part of each step.

No two sessions hold the same index of the pool, so no stream can read another's keys or features.

A job passes through a session in this order; the jobs of many streams share the model calls:

    submit     `check` (the slot fits the stream), `add` (to the queue)
    schedule   `prepare_next`: places the slot in the window; reports cells, tokens and questions
    encode     `pending_encode` -> ViT -> `add_features`
    model      `build_batch_item` -> packed call of the text model -> `finish_batch_item`

Example: a delta with 3 cells and a time stamp of 5 tokens arrives at a full window of 8 slots. Two
slots (the stride) are evicted and their KV indices freed. The delta gets the last 8 sequence
positions, one ViT call for its 3 cells, then a prefill of 8 tokens, in one chunk or in several.
"""

import time
from collections import deque
from collections.abc import Sequence

from torch import Tensor

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.holes import HoleFinder
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.attention.pool import IndexAllocator, KVIndices, KVPool
from codecsight.engine.config import EngineConfig, QueryView
from codecsight.engine.encoder_input import EncodeRequest, EncoderInput, LatestFeatures
from codecsight.engine.errors import SlotRefused
from codecsight.engine.job import BatchItem, Job, Prefill
from codecsight.engine.paged_window import PagedWindow
from codecsight.engine.preparation import PreparedSlot
from codecsight.engine.query_context import (
    QueryContext,
    WindowState,
    build_query_context,
    query_context_tokens,
)
from codecsight.engine.request import DecodeRequest
from codecsight.engine.resources.accounting import WorkAccount
from codecsight.engine.resources.flops import FlopMeter, Flops
from codecsight.engine.resources.memory import slot_tokens
from codecsight.engine.resources.validation import check_slot
from codecsight.engine.results import JobResult
from codecsight.engine.scheduler import QuestionCost, StreamDemand
from codecsight.engine.window import CachedSlot, Window
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens


class StreamSession:
    """The state of one stream. All it can ever hold is bounded when it is constructed."""

    def __init__(
        self,
        stream: str,
        model: VisionLanguageModel,
        grid: PatchGrid,
        config: EngineConfig,
        meter: FlopMeter,
        pool: KVPool,
        prefix_indices: KVIndices,
    ) -> None:
        self.stream, self.grid, self.config = stream, grid, config
        self.model, self.meter = model, meter
        self.account = WorkAccount(meter, grid)
        self.jobs: deque[Job] = deque()
        self.paged = PagedWindow(model, grid, config, pool, prefix_indices)
        self._query_context: QueryContext | None = None
        self._slot_tokens = slot_tokens(model, grid)
        last_slot_only = config.query_view is QueryView.LAST_SLOT
        self._max_context_tokens = 0 if last_slot_only else self._slot_tokens
        cached = config.vision_kv_cache
        self._vision_cache = model.new_vision_kv_cache(grid.rows, grid.cols) if cached else None
        self._holes = HoleFinder()
        self._restart()

    def reset(self, scratch: IndexAllocator) -> list[Job]:
        """Discard the window and free all KV; the next slot must be an anchor. Returns the queued
        jobs, which are lost.
        """
        lost, self.jobs = list(self.jobs), deque()
        for job in lost:
            for request in job.pending:
                scratch.free(request.kv_indices)
        self._drop_query_context()
        self._restart()
        return lost

    def _restart(self) -> None:
        self._start_window()
        self.last_submitted = time.perf_counter()
        self._last_time: float | None = None

    def _start_window(self) -> None:
        self.paged.clear()
        self.latest_features = LatestFeatures()
        # The vision KV cache itself is reused: the first anchor overwrites all of it.
        self.encoder_input = EncoderInput(
            self.config.neighbour_radius, self.config.static_threshold, self._vision_cache
        )

    @property
    def window(self) -> Window:
        """The slots that answers rest on."""
        return self.paged.window

    @property
    def vision_cache_bytes(self) -> int:
        """Bytes of the vision KV cache."""
        return 0 if self._vision_cache is None else self._vision_cache.nbytes

    @property
    def auxiliary_bytes(self) -> int:
        """Bytes held now outside the KV pool (see `resources.memory`)."""
        features = self.latest_features.nbytes
        features += sum(entry.features.nbytes for entry in self.window.slots)
        queued = sum(job.slot.patches.nbytes for job in self.jobs if job.slot is not None)
        return self.vision_cache_bytes + features + self.encoder_input.nbytes + queued

    @property
    def needs_anchor(self) -> bool:
        """Whether there is no slot yet that a delta could build on."""
        return self._last_time is None

    # Queue

    def check(self, prepared: PreparedSlot) -> None:
        """Raise SlotRefused for a slot that does not fit the stream, or comes too soon."""
        slot = prepared.slot
        check_slot(self.stream, slot, self.grid, self._last_time)
        queued = sum(job.slot is not None for job in self.jobs)
        if queued >= self.config.max_waiting:
            raise SlotRefused(
                f"stream {self.stream!r}: {queued} slots are queued already; "
                "send slower, then an anchor"
            )
        if len(prepared.tokens) > self._slot_tokens:
            raise SlotRefused(f"stream {self.stream!r}: no room for the time stamp {slot.times}")

    def add(self, job: Job) -> None:
        """Append a job to the queue."""
        self.jobs.append(job)
        if job.slot is not None:
            self._last_time = job.slot.times[-1]
        self.last_submitted = job.arrived

    def drop_cancelled(self, scratch: IndexAllocator) -> list[Job]:
        """Remove the questions that nobody waits for any more, and free what they hold. Returns
        them.
        """
        dropped = [job for job in self.jobs if job.cancelled]
        for job in dropped:
            self.jobs.remove(job)
            for request in job.pending:
                scratch.free(request.kv_indices)
        if dropped and self.jobs:
            self.jobs[0].since = max(self.jobs[0].arrived, time.perf_counter())
        return dropped

    def prepare_next(self, number: int) -> StreamDemand | None:
        """Prepare the next job: place its slot in the window, which may evict, and store its
        pixels. Returns what it needs, for the scheduler, under this stream's `number`.
        """
        if not self.jobs:
            return None
        job = self.jobs[0]
        if job.slot is not None and job.prefill is None:
            job.prefill = self._begin_prefill(job, job.slot)
        request, context_tokens = self.pending_encode, 0
        if job.pending and self._query_context is None:
            context_tokens = query_context_tokens(self._window_state())
        return StreamDemand(
            stream_index=number,
            since=job.since,
            cells=len(request.encoded_cells) if request else 0,
            tokens=job.prefill.remaining if job.prefill else 0,
            questions=tuple(_question_cost(request) for request in job.pending),
            context_tokens=context_tokens,
        )

    def _begin_prefill(self, job: Job, slot: Slot) -> Prefill:
        """Place a slot in the window; nothing is computed yet."""
        assert job.tokens is not None  # noqa: S101 - set when the slot was checked
        # The context ends at the slot that was newest so far, so it is out of date now.
        self._drop_query_context()
        if self._holes.add(slot.times) and slot.kind is SlotKind.ANCHOR:
            self._start_window()  # an answer's window spans no hole
        entry = CachedSlot(
            slot.kind, slot.kept, slot.times, slot.capture_time, job.tokens, self.model.no_cells()
        )
        placement = self.paged.place(entry)
        if not placement.stride_complete:
            job.question_batch = None  # standing questions are due once a stride
        self._arrived = job.arrived
        return Prefill(entry, self.encoder_input.prepare(slot), placement)

    # Into the models

    @property
    def pending_encode(self) -> EncodeRequest | None:
        """What the ViT must encode for the next job, if it has not yet."""
        job = self.jobs[0]
        return None if job.prefill is None or job.encoded else job.prefill.encode_request

    def add_features(self, features: CellFeatures, vit_ms: float) -> None:
        """Store the ViT's features of the changed cells of the next job's slot."""
        prefill = self.jobs[0].prefill
        assert prefill is not None  # noqa: S101 - the scheduler chose it
        entry, request = prefill.entry, prefill.encode_request
        self.latest_features.update(request.changed, features)
        # The ViT skips the unchanged cells of an anchor: their latest features are still valid.
        all_encoded = len(features) == entry.kept_count
        entry.features = features if all_encoded else self.latest_features.of(entry.kept)
        prefill.vit_ms = vit_ms
        slots = [self.window.slots[index] for index in prefill.placement.indices]
        prefill.tokens = Tokens.join([slot.tokens.shifted(slot.start) for slot in slots])
        prefill.cells = CellFeatures.join([slot.features for slot in slots])
        prefill.spent = Flops(vit=request.flops(self.meter))

    def blocks_needed(self) -> int:
        """Blocks that the next job takes from the pool at most: its slot and a query context."""
        return self.paged.blocks_needed(self._max_context_tokens)

    def build_batch_item(self, tokens: int, questions: int, scratch: IndexAllocator) -> BatchItem:
        """The segments of the next model call: `tokens` of the slot, and the first `questions`,
        whose KV indices are allocated from `scratch`.
        """
        item, job = BatchItem(), self.jobs[0]
        if tokens and job.prefill is not None:
            item.segments.append(self.paged.prefill_chunk(job.prefill, tokens))
            item.prefilled = tokens
            item.copies += self.paged.move_prefix()
        if questions and job.pending:
            context = self._query_context
            if context is None:
                # Built with the first question: a slot that nobody asks about costs no context.
                context = self._build_query_context()
                item.segments += context.segments
                item.copies += context.copies
                self._query_context = context.computed()
            position, no_cells = self.window.next_rotary_position, self.model.no_cells()
            item.requests = job.pending[:questions]
            item.segments += [
                context.fork(request, position, no_cells, scratch) for request in item.requests
            ]
        return item

    def _window_state(self) -> WindowState:
        paged, layout = self.paged, self.model.layout
        view, latest = self.config.query_view, self.latest_features
        return WindowState(view, layout, paged.window, paged.kv_indices, latest, paged.allocator)

    def _build_query_context(self) -> QueryContext:
        return build_query_context(self._window_state())

    def _drop_query_context(self) -> None:
        if self._query_context is not None:
            self.paged.allocator.free(self._query_context.kv_indices)
            self._query_context = None

    # Out of the text model

    def finish_batch_item(
        self, item: BatchItem, logits: Sequence[Tensor], scratch: IndexAllocator, ms: float
    ) -> JobResult | None:
        """Take in a model call over `item`, with the logits of each segment; returns the result of
        the next job if that was its last call.
        """
        job = self.jobs[0]
        self._account_for(item, job)
        if job.prefill is not None:
            job.prefill.computed += item.prefilled
            job.prefill.prefill_ms += ms
        first_request = len(item.segments) - len(item.requests)
        for request, request_logits in zip(item.requests, logits[first_request:], strict=True):
            if request.advance(request_logits):
                scratch.free(request.kv_indices)
                job.pending.remove(request)
        if (job.prefill and job.prefill.remaining) or job.pending:
            return None
        self.jobs.popleft()
        if self.jobs:
            self.jobs[0].since = max(self.jobs[0].arrived, time.perf_counter())
        return self._result(job)

    def _account_for(self, item: BatchItem, job: Job) -> None:
        for index, segment in enumerate(item.segments):
            flops = self.account.segment_flops(segment)
            if job.prefill is not None and item.prefilled and index == 0:
                job.prefill.spent += flops
            else:
                self.account.add_spent(flops)
        for request in item.requests:
            self.account.add_dense_question(self.window, request)

    def _result(self, job: Job) -> JobResult:
        slot_result, entries = None, self.window.entries
        answers: tuple[Answer, ...] = ()
        if (prefill := job.prefill) is not None:
            self.window.mark_prefilled(prefill.placement.indices)
            stride_complete = prefill.placement.stride_complete
            work = self.account.add_slot(
                self.window, prefill.entry, prefill.spent, stride_complete=stride_complete
            )
            slot_result = prefill.result(self.stream, len(entries), work)
        if job.question_batch is not None:
            latency_ms = (time.perf_counter() - self._arrived) * 1e3
            answers = job.question_batch.answers(self.stream, entries, latency_ms)
        return JobResult(job.ticket, self.stream, slot_result, answers)


def _question_cost(request: DecodeRequest) -> QuestionCost:
    has_begun = len(request.kv_indices) > 0
    return QuestionCost(len(request.tree), kv_entries=0 if has_begun else request.max_tokens)
