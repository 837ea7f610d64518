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

from codecsight.change.slot import Slot
from codecsight.models.adapter import Adapter, Which
from codecsight.models.base import CellFeatures
from codecsight.models.packed_vision import PackedVision
from codecsight.models.prompt import Wording, in_grid


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

    def _wording(self) -> Wording:
        return qwen_wording(self.tokenizer, self.network.config)

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

    def _see_packed(self, slots: Sequence[Slot], own: Sequence[Which]) -> list[Tensor]:
        pixels = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        patches = self._cut(pixels.to(self.kv.device))
        return self._vision(patches, [slot.kept for slot in slots], own)

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


def slot_ends(slots: Sequence[Slot], unit: int) -> Tensor:
    """Where each slot's patches end in a pack, `unit` patches a cell: int32 [slots + 1]."""
    counts = np.array([slot.kept_count for slot in slots])
    return torch.tensor([0, *np.cumsum(counts) * unit], dtype=torch.int32)


def qwen_wording(tokenizer: Any, config: Any) -> Wording:
    """How Qwen3-VL writes a stream: seconds in words, then a picture's cells between markers."""
    ids = [config.vision_start_token_id, config.video_token_id, config.vision_end_token_id]
    start, cell, end = tokenizer.convert_ids_to_tokens(ids)
    return Wording(
        cell=cell,
        opening=lambda time: f"<{time:.1f} seconds>{start}",
        closing=end,
        videos=(start + cell + end, cell),
        spread=in_grid,
    )
