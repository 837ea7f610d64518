"""Qwen3-VL behind the adapter, with and without experts.

Two frames a slot, which is stamped in words; positions on three axes; the first text layers see the
cells once more from halfway through the ViT (deepstack).
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration, Qwen3VLMoeForConditionalGeneration
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from codecsight.core.slot import Slot
from codecsight.models.adapter import Adapter, Which
from codecsight.models.base import CellFeatures
from codecsight.models.families.attention import cached_vision_context
from codecsight.models.packed_vision import PackedVision, patches_of
from codecsight.models.prompt import PromptFormat, in_grid
from codecsight.models.vision_kv_cache import VisionKVCache


class Qwen3VL(Adapter):
    """The adapter around a `Qwen3VLForConditionalGeneration`."""

    family = "qwen3_vl"
    network_class = Qwen3VLForConditionalGeneration

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.frames = vision.temporal_patch_size

    @cached_property
    def _vision(self) -> PackedVision:
        return PackedVision(self.network.model.visual, self._mean, self._std)

    def _prompt_format(self) -> PromptFormat:
        return qwen_prompt_format(self.tokenizer, self.network.config)

    @property
    def _levels(self) -> int:
        return len(self.network.config.vision_config.deepstack_visual_indexes)

    def _position_ids(self, positions: Tensor) -> Tensor:
        return positions[:, None]

    def _beside(self, visual: Tensor, cells: CellFeatures) -> dict[str, Any]:
        return {
            "visual_pos_masks": visual[None],
            "deepstack_visual_embeds": list(cells.deepstack) if len(cells) else None,
        }

    def _see(self, slots: Sequence[Slot]) -> list[Tensor]:
        tables = [self._kept_table(slot) for slot in slots]
        positions, indices, weights = (torch.cat(part) for part in zip(*tables, strict=True))
        seen = self.network.model.visual(
            self._pixels(slots),
            grid_thw=None,
            position_ids=positions,
            interp_indices=indices,
            interp_weights=weights,
            cu_seqlens=slot_ends(slots, self.merge**2).to(self.kv.device),
        )
        return [seen.pooler_output, *seen.deepstack_features]

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache:
        """Zeroed keys and values of every ViT layer for a picture of `rows` x `cols` cells."""
        return self._vision.new_vision_kv_cache(rows, cols)

    def encode_cells(self, slot: Slot, memory: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over the slot's kept cells alone, as transformers does."""
        if memory is None:
            return super().encode_cells(slot)
        rows = torch.from_numpy(patches_of(np.flatnonzero(slot.kept), self.merge**2))
        with cached_vision_context(
            self.network.model.visual.config, memory, rows.to(self.kv.device)
        ):
            return super().encode_cells(slot)

    def _see_packed(
        self, slots: Sequence[Slot], own: Sequence[Which], memories: Sequence[VisionKVCache] | None
    ) -> list[Tensor]:
        counts = [slot.kept_count for slot in slots]
        packs = cached_packs(counts, self._cached_cells) if self._cached_cells else [slice(None)]
        found = [
            self._pack(slots[pack], own[pack], None if memories is None else memories[pack])
            for pack in packs
        ]
        return [torch.cat(layer) for layer in zip(*found, strict=True)]

    def _pack(
        self, slots: Sequence[Slot], own: Sequence[Which], memories: Sequence[VisionKVCache] | None
    ) -> list[Tensor]:
        pixels = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        patches = self._cut(pixels.to(self.kv.device))
        return self._vision(patches, [slot.kept for slot in slots], own, memories)

    @cached_property
    def _cached_cells(self) -> int:
        """On a CPU, the cells whose hidden states stay in a core's cache; elsewhere 0."""
        if self.kv.device.type != "cpu":
            return 0
        wide: int = self.network.config.vision_config.hidden_size * self.kv.dtype.itemsize
        return max(_CACHE // (wide * self.merge**2), _LEAST)

    def _kept_table(self, slot: Slot) -> tuple[Tensor, ...]:
        """The tables' rows for the patches of the kept cells."""
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        return tuple(part[kept.to(self.kv.device)] for part in self._table(*slot.kept.shape))

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _table(self, rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
        """Per patch of a whole picture, cell by cell: where it stands (row, column), and which
        learned position embeddings are mixed for it, and how.
        """
        visual = self.network.model.visual
        grid = torch.tensor([[1, rows * self.merge, cols * self.merge]], device=self.kv.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid,
            visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=self.merge,
        )
        return get_vision_position_ids(grid, self.merge), indices, weights


class Qwen3VLMoe(Qwen3VL):
    """The same around a `Qwen3VLMoeForConditionalGeneration`: experts are the text model's own
    business.
    """

    family = "qwen3_vl_moe"
    network_class = Qwen3VLMoeForConditionalGeneration


_CACHE = 1 << 20
"""Bytes. Measured with the default checkpoint: packs of 840 cells take a fifth longer per cell than
packs of 420 (0.9 MB of hidden states), and packs of 50 a quarter longer.
"""
_LEAST = 128
"""Cells below which small operations cost more than misses."""


def cached_packs(counts: Sequence[int], most: int) -> list[slice]:
    """Neighbouring slots of so many cells each, in packs of at most `most` (or of one slot)."""
    packs, start, held = [], 0, 0
    for index, count in enumerate(counts):
        if index > start and held + count > most:
            packs.append(slice(start, index))
            start, held = index, 0
        held += count
    return [*packs, slice(start, len(counts))]


def slot_ends(slots: Sequence[Slot], unit: int) -> Tensor:
    """Where each slot's patches end in a pack, `unit` patches a cell: int32 [slots + 1]."""
    counts = np.array([slot.kept_count for slot in slots])
    return torch.tensor([0, *np.cumsum(counts) * unit], dtype=torch.int32)


def qwen_prompt_format(tokenizer: Any, config: Any) -> PromptFormat:
    """How Qwen3-VL writes a stream: seconds in words, then a picture's cells between markers."""
    ids = [config.vision_start_token_id, config.video_token_id, config.vision_end_token_id]
    start, cell, end = tokenizer.convert_ids_to_tokens(ids)
    return PromptFormat(
        cell=cell,
        opening=lambda time: f"<{time:.1f} seconds>{start}",
        closing=end,
        videos=(start + cell + end, cell),
        spread=in_grid,
    )
