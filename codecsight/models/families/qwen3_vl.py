"""Adapter for Qwen3-VL, dense and with mixture of experts.

A slot has two frames and its time as text; positions have three axes. Features from the middle of
the ViT (deepstack) are added to the cells' hidden states after the first text layers.
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
from codecsight.models.adapter import Adapter
from codecsight.models.base import CellFeatures, CellIndices
from codecsight.models.families.attention import cached_vision_context
from codecsight.models.packed_vision import PackedVision, patch_indices
from codecsight.models.prompt import PromptFormat, grid_positions
from codecsight.models.vision_kv_cache import VisionKVCache

_CPU_CACHE_BYTES = 1 << 20
"""Hidden states of a pack that stay in a core's cache. Measured with the default checkpoint: packs
of 840 cells take a fifth longer per cell than packs of 420 (0.9 MB of hidden states), and packs of
50 a quarter longer.
"""
_MIN_PACK_CELLS = 128
"""Below this number of cells, the overhead of small operations exceeds that of cache misses."""


class Qwen3VL(Adapter):
    """Adapter for `Qwen3VLForConditionalGeneration`."""

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
    def _deepstack_levels(self) -> int:
        return len(self.network.config.vision_config.deepstack_visual_indexes)

    def _position_ids(self, positions: Tensor) -> Tensor:
        return positions[:, None]

    def _extra_text_inputs(self, visual: Tensor, cells: CellFeatures) -> dict[str, Any]:
        return {
            "visual_pos_masks": visual[None],
            "deepstack_visual_embeds": list(cells.deepstack) if len(cells) else None,
        }

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache:
        """A zeroed cache for pictures of `rows` x `cols` cells."""
        return self._vision.new_vision_kv_cache(rows, cols)

    def encode_cells(self, slot: Slot, cache: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over one slot's kept cells, as transformers does."""
        if cache is None:
            return super().encode_cells(slot)
        patches = torch.from_numpy(patch_indices(np.flatnonzero(slot.kept), self.merge**2))
        config = self.network.model.visual.config
        with cached_vision_context(config, cache, patches.to(self.kv.device)):
            return super().encode_cells(slot)

    def _run_vit(self, slots: Sequence[Slot]) -> list[Tensor]:
        tables = [self._kept_positions(slot) for slot in slots]
        positions, indices, weights = (torch.cat(part) for part in zip(*tables, strict=True))
        output = self.network.model.visual(
            self._pixels(slots),
            grid_thw=None,
            position_ids=positions,
            interp_indices=indices,
            interp_weights=weights,
            cu_seqlens=cumulative_patches(slots, self.merge**2).to(self.kv.device),
        )
        return [output.pooler_output, *output.deepstack_features]

    def _run_vit_packed(
        self,
        slots: Sequence[Slot],
        wanted: Sequence[CellIndices],
        caches: Sequence[VisionKVCache] | None,
    ) -> list[Tensor]:
        counts = [slot.kept_count for slot in slots]
        limit = self._max_pack_cells
        packs = split_packs(counts, limit) if limit else [slice(None)]
        outputs = [
            self._run_pack(slots[pack], wanted[pack], None if caches is None else caches[pack])
            for pack in packs
        ]
        return [torch.cat(layer) for layer in zip(*outputs, strict=True)]

    def _run_pack(
        self,
        slots: Sequence[Slot],
        wanted: Sequence[CellIndices],
        caches: Sequence[VisionKVCache] | None,
    ) -> list[Tensor]:
        pixels = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        patches = self._split_patches(pixels.to(self.kv.device))
        return self._vision(patches, [slot.kept for slot in slots], wanted, caches)

    @cached_property
    def _max_pack_cells(self) -> int:
        """On a CPU, the number of cells whose hidden states stay in a core's cache; elsewhere 0 (no
        limit).
        """
        if self.kv.device.type != "cpu":
            return 0
        row_bytes: int = self.network.config.vision_config.hidden_size * self.kv.dtype.itemsize
        return max(_CPU_CACHE_BYTES // (row_bytes * self.merge**2), _MIN_PACK_CELLS)

    def _kept_positions(self, slot: Slot) -> tuple[Tensor, ...]:
        """The rows of `_position_table` for the patches of the kept cells."""
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        table = self._position_table(*slot.kept.shape)
        return tuple(part[kept.to(self.kv.device)] for part in table)

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _position_table(self, rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
        """For each patch of a whole picture, cell by cell: its row and column, and the indices and
        weights of the learned position embeddings that are interpolated for it.
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
    """Adapter for `Qwen3VLMoeForConditionalGeneration`: only the text model's MLPs differ."""

    family = "qwen3_vl_moe"
    network_class = Qwen3VLMoeForConditionalGeneration


def split_packs(counts: Sequence[int], max_cells: int) -> list[slice]:
    """Split slots with these numbers of cells into packs of adjacent slots, each of at most
    `max_cells` cells or of a single slot.
    """
    packs, start, size = [], 0, 0
    for index, count in enumerate(counts):
        if index > start and size + count > max_cells:
            packs.append(slice(start, index))
            start, size = index, 0
        size += count
    return [*packs, slice(start, len(counts))]


def cumulative_patches(slots: Sequence[Slot], unit: int) -> Tensor:
    """Cumulative number of patches after each slot, from 0, with `unit` patches in a cell: int32
    [slots + 1].
    """
    counts = np.array([slot.kept_count for slot in slots])
    return torch.tensor([0, *np.cumsum(counts) * unit], dtype=torch.int32)


def qwen_prompt_format(tokenizer: Any, config: Any) -> PromptFormat:
    """Qwen3-VL's format of a stream: for each slot its time in seconds, then the cells between
    markers.
    """
    ids = [config.vision_start_token_id, config.video_token_id, config.vision_end_token_id]
    start, cell, end = tokenizer.convert_ids_to_tokens(ids)
    return PromptFormat(
        cell_token=cell,
        opening=lambda time: f"<{time:.1f} seconds>{start}",
        closing=end,
        video_placeholders=(start + cell + end, cell),
        cell_positions=grid_positions,
    )
