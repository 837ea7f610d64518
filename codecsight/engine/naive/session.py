"""One stream of the naive engine: contiguous keys and values, one slot at a time, transformers' own
attention. The engine must give the same answers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.holes import HoleFinder
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.config import EngineConfig, EvictionPolicy
from codecsight.engine.encoder_input import EncodeRequest, EncoderInput, LatestFeatures
from codecsight.engine.errors import EngineError, SlotRefused
from codecsight.engine.naive.cache import PrefillCache, WindowKV
from codecsight.engine.naive.query_context import NaiveQueryContext, NaiveWindowState
from codecsight.engine.request import build_answers
from codecsight.engine.resources.flops import FlopMeter, Flops, Work
from codecsight.engine.resources.memory import slot_tokens, stream_tokens, window_extent
from codecsight.engine.resources.validation import check_slot
from codecsight.engine.results import SlotResult
from codecsight.engine.window import CachedSlot, Window, refresh_policy, slot_time
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens


@dataclass(frozen=True, slots=True)
class Slide:
    """The effect of making room: `evicted` tokens, whether positions were `rebased`, and the
    indices of the remaining slots that must be prefilled again.
    """

    evicted: int = 0
    rebased: bool = False
    stale: tuple[int, ...] = ()


class NaiveSession:
    """The state of one stream. All it can ever hold is bounded when it is constructed."""

    def __init__(
        self,
        stream: str,
        model: VisionLanguageModel,
        grid: PatchGrid,
        config: EngineConfig,
        meter: FlopMeter,
    ) -> None:
        self.stream, self.grid, self.config = stream, grid, config
        self.model, self.meter = model, meter
        self.work = Work()
        self._refresh = refresh_policy(config.refresh)
        self._rebase_at = max(config.rebase_at, 4 * window_extent(model, grid, config))
        self._slot_tokens = slot_tokens(model, grid)
        self._dense_vit = meter.vit(np.ones((grid.rows, grid.cols), np.bool_))
        self.kv = WindowKV(model.kv, stream_tokens(model, grid, config))
        self._holes = HoleFinder()
        self.reset()

    def reset(self) -> None:
        """Discard the window; the next slot must be an anchor."""
        self.window = Window(self.model.layout.prefix)
        self.kv.length = 0
        self.latest_features = LatestFeatures()
        grid, config = self.grid, self.config
        cached = config.vision_kv_cache
        cache = self.model.new_vision_kv_cache(grid.rows, grid.cols) if cached else None
        self.encoder_input = EncoderInput(config.neighbour_radius, config.static_threshold, cache)
        self._query_context: NaiveQueryContext | None = None
        self._slots_seen = 0

    @property
    def needs_anchor(self) -> bool:
        """Whether there is no slot yet that a delta could build on."""
        return not self.window.entries

    def spend(self, work: Work) -> None:
        """Add work to this stream's account."""
        self.work += work

    @torch.inference_mode()
    def push(self, slot: Slot) -> SlotResult:
        """Prefill the next slot. A rejected slot changes nothing; any other failure resets the
        session, so that it never answers from a window that is half computed.
        """
        arrived = time.perf_counter()
        tokens = self._check(slot)
        self._arrived = arrived
        if self._holes.add(slot.times) and slot.kind is SlotKind.ANCHOR:
            self.reset()  # an answer's window spans no hole
        try:
            request = self.encoder_input.prepare(slot)
            encoded = self.model.encode_cells(request.slot, request.vision_cache)
            encoded = encoded.select(request.encoded_cells)
            self.model.synchronize()
            vit_ms = _ms_since(arrived)
            self.latest_features.update(request.changed, encoded)
            features = self.latest_features.of(slot.kept)
            entry = CachedSlot(
                slot.kind, slot.kept.copy(), slot.times, slot.capture_time, tokens, features
            )
            return self._advance(entry, request, vit_ms)
        except Exception:
            self.reset()
            raise

    @torch.inference_mode()
    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer from the window, which stays unchanged."""
        if self.needs_anchor:
            raise EngineError(f"stream {self.stream!r} has no slots yet")
        if self._query_context is None:
            self._query_context = NaiveQueryContext(
                NaiveWindowState(
                    self.model,
                    self.config,
                    self.window,
                    self.kv,
                    self.latest_features,
                    self.meter,
                    self.spend,
                )
            )
        scored, entries = self._query_context.answer(questions), self.window.entries
        return list(
            build_answers(
                self.stream, questions, scored, entries, _ms_since(self._arrived), self.model.name
            )
        )

    def _check(self, slot: Slot) -> Tokens:
        last = None if self.needs_anchor else self.window.entries[-1].times[-1]
        check_slot(self.stream, slot, self.grid, last)
        tokens = self.model.layout.slot(slot_time(slot.times), slot.kept)
        if len(tokens) > self._slot_tokens:
            raise SlotRefused(f"stream {self.stream!r}: no room for the time stamp {slot.times}")
        return tokens

    def _advance(self, entry: CachedSlot, request: EncodeRequest, vit_ms: float) -> SlotResult:
        started = time.perf_counter()
        self._query_context = None
        if self.needs_anchor:
            self._prefill_prefix()
        slide = self._make_room(entry)
        self.window.append(entry)
        prefilled = self._prefill_slots([*slide.stale, len(self.window.slots) - 1])
        self.model.synchronize()
        self._slots_seen += 1
        stride_complete = (self._slots_seen - self.config.window) % self.config.stride == 0
        work = self._cost(entry, request, prefilled, stride_complete=stride_complete)
        self.spend(work)
        return SlotResult(
            stream=self.stream,
            slots=len(self.window.entries),
            prefilled=len(entry.tokens),
            refreshed=prefilled - len(entry.tokens),
            evicted=slide.evicted,
            rebased=slide.rebased,
            stride_complete=stride_complete,
            work=work,
            vit_ms=vit_ms,
            prefill_ms=_ms_since(started),
        )

    def _prefill_prefix(self) -> None:
        """Prefill the prefix, and keep its keys at position 0. It costs every system the same, and
        is left out of all accounts.
        """
        prefix = self.window.prefix
        self._prefill(prefix, self.model.no_cells(), torch.arange(len(prefix)))
        self._prefix_keys = self.kv.keys[:, :, : len(prefix)].clone()

    def _make_room(self, entry: CachedSlot) -> Slide:
        if len(self.window.entries) < self.config.window:
            return Slide()
        superseding = entry.kept if self.config.eviction is EvictionPolicy.SUPERSEDED else None
        remaining = self.window.evict(self.config.stride, superseding)
        self.kv.keep(torch.from_numpy(np.flatnonzero(remaining)))
        rebased = self.window.next_rotary_position + entry.tokens.extent > self._rebase_at
        if rebased:
            self.window.renumber()
        self._move_prefix()
        slots = self.window.slots
        again = [True] * len(slots) if rebased else self._refresh(slots)
        stale = tuple(index for index, yes in enumerate(again) if yes)
        return Slide(int((~remaining).sum()), rebased, stale)

    def _move_prefix(self) -> None:
        """Re-rotate the prefix to just before the window; from its keys at position 0, so that
        rounding errors do not accumulate. Values do not depend on the position.
        """
        count = self._prefix_keys.shape[2]
        rotation = self.model.rotation(torch.full((count,), self.window.prefix_rotary_start))
        self.kv.keys[:, :, :count] = self.model.rotate_keys(self._prefix_keys, rotation)

    def _prefill_slots(self, indices: list[int]) -> int:
        """Prefill these slots of the window in one pass; returns the number of tokens."""
        entries = [self.window.slots[index] for index in indices]
        tokens = Tokens.join([entry.tokens.shifted(entry.start) for entry in entries])
        cells = CellFeatures.join([entry.features for entry in entries])
        self._prefill(tokens, cells, torch.from_numpy(self.window.sequence_positions_of(indices)))
        self.window.mark_prefilled(indices)
        return len(tokens)

    def _prefill(self, tokens: Tokens, cells: CellFeatures, positions: Tensor) -> None:
        """Write tokens at `positions`; each attends to the positions up to its own."""
        cache = PrefillCache(self.kv, positions)
        mask = torch.arange(self.kv.length) <= positions[:, None]
        self.model.forward(tokens, cells, cache, mask, torch.arange(0))

    def _cost(
        self, entry: CachedSlot, request: EncodeRequest, prefilled: int, *, stride_complete: bool
    ) -> Work:
        """What this slot cost, and what it would have cost the dense baselines."""
        meter, vit, dense = self.meter, self._dense_vit, self.window.dense_length
        kept, slots = len(entry.features), len(self.window.entries)
        whole = len(entry.tokens) + self.grid.cells - kept
        return Work(
            spent=Flops(request.flops(meter), meter.llm(prefilled, self.kv.length)),
            recompute=Flops(slots * vit, meter.llm(dense, dense)) if stride_complete else Flops(),
            once=Flops(vit, meter.llm(whole, dense)),
        )


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
