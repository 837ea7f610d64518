"""A stream's window whose keys and values are in blocks of the shared pool.

`window` says which tokens are cached and at which positions; `kv_indices` says where each of them
is in the pool, in sequence order. Example: the shared prefix of 10 tokens has the pool's indices
0-9; a stream with one slot of 15 tokens holds

    window       prefix 0-9, slot 10-24            sequence positions
    kv_indices   [25]: 32 ... 56                   a copy of the prefix, then the slot
"""

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.engine.attention.pool import IndexAllocator, KVIndices, KVPool
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import EngineConfig, EvictionPolicy
from codecsight.engine.job import Placement, Prefill
from codecsight.engine.resources.memory import window_extent
from codecsight.engine.window import CachedSlot, Window, refresh_policy
from codecsight.models.base import VisionLanguageModel


class PagedWindow:
    """The `window` of one stream, the `allocator` of its blocks, and the `kv_indices`
    [window.length] of its tokens. `prefix_indices` are those of the prefix that all streams share.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        grid: PatchGrid,
        config: EngineConfig,
        pool: KVPool,
        prefix_indices: KVIndices,
    ) -> None:
        self._config, self._prefix = config, model.layout.prefix
        self._prefix_indices = prefix_indices
        self._refresh = refresh_policy(config.refresh)
        self._rebase_at = max(config.rebase_at, 4 * window_extent(model, grid, config))
        self.allocator = IndexAllocator(pool)
        self.kv_indices: KVIndices = np.arange(0)
        self.clear()

    def clear(self) -> None:
        """Free all KV and start an empty window."""
        self.allocator.free(self.kv_indices)
        self.kv_indices = np.arange(0)
        self.window = Window(self._prefix)
        self._slots_seen = 0
        self._prefix_at: int | None = None

    def place(self, entry: CachedSlot) -> Placement:
        """Append a slot, evicting from a full window; its keys are computed later."""
        evicted, rebased, refreshed = self._make_room(entry)
        self.window.append(entry)
        self._slots_seen += 1
        # Every `stride` slots, counted so that the first full window is one of them: standing
        # questions are asked of part-filled windows too, so a new stream is answered early.
        stride_complete = (self._slots_seen - self._config.window) % self._config.stride == 0
        indices = [*refreshed, len(self.window.slots) - 1]
        return Placement(
            indices, self.window.sequence_positions_of(indices), evicted, rebased, stride_complete
        )

    def _make_room(self, entry: CachedSlot) -> tuple[int, bool, list[int]]:
        """Evict from a full window. Returns the number of evicted tokens, whether the window was
        rebased, and the indices of the slots to prefill again.
        """
        if len(self.window.entries) < self._config.window:
            return 0, False, []
        superseding = entry.kept if self._config.eviction is EvictionPolicy.SUPERSEDED else None
        remaining = self.window.evict(self._config.stride, superseding)
        self.allocator.free(self.kv_indices[~remaining])
        self.kv_indices = self.kv_indices[remaining]
        rebased = self.window.next_rotary_position + entry.tokens.extent > self._rebase_at
        if rebased:
            self.window.renumber()
        slots = self.window.slots
        # Rebasing invalidates every cached key, so all slots are prefilled again.
        again = [True] * len(slots) if rebased else self._refresh(slots)
        return int((~remaining).sum()), rebased, [index for index, yes in enumerate(again) if yes]

    def blocks_needed(self, extra_tokens: int) -> int:
        """Blocks to take from the pool for the window's unallocated tokens and `extra_tokens`."""
        missing = self.window.length - len(self.kv_indices)
        return self.allocator.blocks_needed(missing + extra_tokens)

    def prefill_chunk(self, prefill: Prefill, count: int) -> PackedSegment:
        """The next `count` tokens of a slot on its way in, as a segment."""
        if len(self.kv_indices) < self.window.length:
            new = self.allocator.allocate(self.window.length - len(self.kv_indices))
            self.kv_indices = np.concatenate([self.kv_indices, new])
        positions = prefill.next_positions(count)
        tokens, cells = prefill.prefill_chunk(count)
        # Later keys would be masked for every query of the chunk, so they are not gathered.
        span = AttentionSpan.causal(self.kv_indices[: positions[-1] + 1])
        return PackedSegment(tokens, cells, self.kv_indices[positions], positions, span)

    def move_prefix(self) -> list[KVCopies]:
        """Copy the shared prefix to just before the window, if it is not there; always from its
        keys at position 0, so that rounding errors of re-rotation do not accumulate.
        """
        if self._prefix_at == self.window.prefix_rotary_start:
            return []
        self._prefix_at = self.window.prefix_rotary_start
        count = len(self._prefix_indices)
        shift = np.full(count, self._prefix_at)
        return [KVCopies(self._prefix_indices, self.kv_indices[:count], shift)]
