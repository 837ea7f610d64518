"""One stream's window in its plainest form: contiguous keys and values, one slot at a time,
transformers' own attention. The engine must say what this says.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.config import EngineConfig, EvictionPolicy
from codecsight.engine.encoder_input import EncodeRequest, EncoderInput, LatestFeatures
from codecsight.engine.errors import EngineError, SlotRefused
from codecsight.engine.naive.cache import PrefillCache, WindowKV
from codecsight.engine.naive.query_context import NaiveQueryContext
from codecsight.engine.refresh import refresh_policy
from codecsight.engine.resources.flops import FlopMeter, Flops, Work
from codecsight.engine.resources.memory import slot_tokens, stream_tokens, window_extent
from codecsight.engine.resources.validation import check_slot
from codecsight.engine.results import SlotResult
from codecsight.engine.window import CachedSlot, Window, slot_time
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens


@dataclass(frozen=True, slots=True)
class Slide:
    """How room was made: `evicted` tokens, positions `rebased`, and the indices of the slots that
    stay and must be prefilled again.
    """

    evicted: int = 0
    rebased: bool = False
    stale: tuple[int, ...] = ()


class NaiveSession:
    """What the engine knows of one stream. All it may ever hold is bounded at construction."""

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
        self.reset()

    def reset(self) -> None:
        """Forget what was seen; the next slot must be an anchor."""
        self.window = Window(self.model.layout.prefix)
        self.kv.length = 0
        self.latest_features = LatestFeatures()
        grid, config = self.grid, self.config
        memory = (
            self.model.new_vision_kv_cache(grid.rows, grid.cols) if config.vision_kv_cache else None
        )
        self.encoder_input = EncoderInput(config.neighbour_radius, config.static_threshold, memory)
        self._present: NaiveQueryContext | None = None
        self._seen = 0

    @property
    def needs_anchor(self) -> bool:
        """Whether there is nothing yet that a delta could build on."""
        return not self.window.entries

    def spend(self, work: Work) -> None:
        """Put work on this stream's account."""
        self.work += work

    @torch.inference_mode()
    def push(self, slot: Slot) -> SlotResult:
        """Take in the next slot. A refused slot changes nothing; any other failure half-way
        resets the session, so that it never answers from a broken window.
        """
        arrival = time.perf_counter()
        tokens = self._check(slot)
        self._arrival = arrival
        try:
            look = self.encoder_input.look(slot)
            said = self.model.encode_cells(look.slot, look.remembers).select(look.own)
            self.model.synchronize()
            vit_ms = _ms_since(arrival)
            self.latest_features.update(look.fresh, said)
            features = self.latest_features.of(slot.kept)
            entry = CachedSlot(
                slot.kind, slot.kept.copy(), slot.times, slot.capture_time, tokens, features
            )
            return self._advance(entry, look, vit_ms)
        except Exception:
            self.reset()
            raise

    @torch.inference_mode()
    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer from what the window holds, which stays as it is."""
        if self.needs_anchor:
            raise EngineError(f"stream {self.stream!r} has shown nothing yet")
        if self._present is None:
            self._present = NaiveQueryContext(self)
        scored = self._present.answer(questions)
        entries = self.window.entries
        return [
            Answer(
                stream=self.stream,
                question=question.text,
                value=found.value,
                probability=found.probability,
                start=entries[0].times[0],
                end=entries[-1].times[-1],
                capture_time=entries[-1].capture_time,
                latency_ms=_ms_since(self._arrival),
                cells_kept=sum(int(entry.kept.sum()) for entry in entries),
                cells_total=len(entries) * self.grid.cells,
            )
            for question, found in zip(questions, scored, strict=True)
        ]

    def _check(self, slot: Slot) -> Tokens:
        last = None if self.needs_anchor else self.window.entries[-1].times[-1]
        check_slot(self.stream, slot, self.grid, last)
        tokens = self.model.layout.slot(slot_time(slot.times), slot.kept)
        if len(tokens) > self._slot_tokens:
            raise SlotRefused(f"stream {self.stream!r}: no room for the time stamp {slot.times}")
        return tokens

    def _advance(self, entry: CachedSlot, look: EncodeRequest, vit_ms: float) -> SlotResult:
        started = time.perf_counter()
        self._present = None
        if self.needs_anchor:
            self._start()
        slide = self._make_room(entry)
        self.window.append(entry)
        again = self._prefill_slots([*slide.stale, len(self.window.slots) - 1])
        self.model.synchronize()
        self._seen += 1
        moved = (self._seen - self.config.window) % self.config.stride == 0
        work = self._cost(entry, look, again, moved=moved)
        self.spend(work)
        return SlotResult(
            stream=self.stream,
            slots=len(self.window.entries),
            prefilled=len(entry.tokens),
            refreshed=again - len(entry.tokens),
            evicted=slide.evicted,
            rebased=slide.rebased,
            moved=moved,
            work=work,
            vit_ms=vit_ms,
            prefill_ms=_ms_since(started),
        )

    def _start(self) -> None:
        """Prefill the prefix, and keep its keys as they are at position 0. It costs the same for
        all, however they serve, and is left out of all accounts.
        """
        prefix = self.window.prefix
        self._prefill(prefix, self.model.no_cells(), torch.arange(len(prefix)))
        self._prefix_keys = self.kv.keys[:, :, : len(prefix)].clone()

    def _make_room(self, entry: CachedSlot) -> Slide:
        if len(self.window.entries) < self.config.window:
            return Slide()
        superseding = entry.kept if self.config.eviction is EvictionPolicy.SUPERSEDED else None
        stay = self.window.evict(self.config.stride, superseding)
        self.kv.keep(torch.from_numpy(np.flatnonzero(stay)))
        rebased = self.window.next_position + entry.tokens.extent > self._rebase_at
        if rebased:
            self.window.renumber()
        self._move_prefix()
        slots = self.window.slots
        again = [True] * len(slots) if rebased else self._refresh(slots)
        return Slide(
            int((~stay).sum()), rebased, tuple(index for index, yes in enumerate(again) if yes)
        )

    def _move_prefix(self) -> None:
        """Let the prefix stand just before the window; from its pristine keys, so that rounding
        does not add up. Its values know no position.
        """
        count = self._prefix_keys.shape[2]
        by = self.model.rotation(torch.full((count,), self.window.prefix_start))
        moved = self.model.rotate_keys(self._prefix_keys, by)
        self.kv.keys[:, :, :count] = moved

    def _prefill_slots(self, indices: list[int]) -> int:
        """Prefill these slots of the window in one pass; returns how many tokens that took."""
        entries = [self.window.slots[index] for index in indices]
        tokens = Tokens.join([entry.tokens.shifted(entry.start) for entry in entries])
        cells = CellFeatures.join([entry.features for entry in entries])
        places = torch.from_numpy(self.window.places(indices))
        self._prefill(tokens, cells, places)
        self.window.mark_prefilled(indices)
        return len(tokens)

    def _prefill(self, tokens: Tokens, cells: CellFeatures, places: Tensor) -> None:
        """Write tokens at their places; each sees the places up to its own."""
        cache = PrefillCache(self.kv, places)
        mask = torch.arange(self.kv.length) <= places[:, None]
        self.model.forward(tokens, cells, cache, mask, torch.arange(0))

    def _cost(self, entry: CachedSlot, look: EncodeRequest, forwarded: int, *, moved: bool) -> Work:
        """What this slot cost, and what it would have cost the dense twins."""
        meter, vit, dense = self.meter, self._dense_vit, self.window.dense_length
        kept, slots = len(entry.features), len(self.window.entries)
        whole = len(entry.tokens) + self.grid.cells - kept
        return Work(
            spent=Flops(look.cost(meter), meter.llm(forwarded, self.kv.length)),
            recompute=Flops(slots * vit, meter.llm(dense, dense)) if moved else Flops(),
            once=Flops(vit, meter.llm(whole, dense)),
        )


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
