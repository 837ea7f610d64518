"""Qwen2.5-VL behind the adapter.

Most layers of its ViT attend within windows of 4 x 4 cells; pruned, a cell sees what is kept of its
window there, and what is kept of the picture in the others. Every slot is a video of its own to the
text model, stamped in words as Qwen3-VL does: in one long video, time would be told by the first of
the three axes alone, and sliding would move each axis by another amount.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

from codecsight.core.slot import Slot
from codecsight.models.adapter import Adapter
from codecsight.models.families.qwen3_vl import qwen_prompt_format, slot_ends
from codecsight.models.prompt import PromptFormat


class Qwen25VL(Adapter):
    """The adapter around a `Qwen2_5_VLForConditionalGeneration`."""

    family = "qwen2_5_vl"
    network_class = Qwen2_5_VLForConditionalGeneration
    pixel_scale = (tuple(OPENAI_CLIP_MEAN), tuple(OPENAI_CLIP_STD))

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.frames = vision.temporal_patch_size

    def _prompt_format(self) -> PromptFormat:
        return qwen_prompt_format(self.tokenizer, self.network.config)

    def _position_ids(self, positions: Tensor) -> Tensor:
        return positions[:, None]

    def _see(self, slots: Sequence[Slot]) -> list[Tensor]:
        device = self.kv.device
        tables = [self._table(*slot.kept.shape) for slot in slots]
        kept = [torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2)) for slot in slots]
        places = [table[0][mask.to(device)] for table, mask in zip(tables, kept, strict=True)]
        order, ends = [], [0]
        for slot, (_, cells, windows) in zip(slots, tables, strict=True):
            picked, sizes = within_windows(slot.kept.reshape(-1), cells, windows)
            order.append(picked + ends[-1])
            ends += (ends[-1] + np.cumsum(sizes)).tolist()
        seen = self.network.model.visual(
            self._pixels(slots),
            grid_thw=None,
            position_ids=torch.cat(places),
            cu_seqlens=slot_ends(slots, self.merge**2).to(device),
            window_index=torch.from_numpy(np.concatenate(order)).to(device),
            cu_window_seqlens=torch.tensor(ends, dtype=torch.int32, device=device) * self.merge**2,
        )
        return [seen.pooler_output]

    def masked_pairs(self, kept: NDArray[np.bool_]) -> int:
        """How many pairs of cells windows keep apart; see `VisionLanguageModel.masked_pairs`."""
        _, cells, windows = self._table(*kept.shape)
        _, sizes = within_windows(kept.reshape(-1), cells, windows)
        return int(kept.sum() ** 2 - (sizes**2).sum())

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _table(self, rows: int, cols: int) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """Of a whole picture: where each patch stands (row, column), cell by cell; its cells window
        by window; and the window of each of these.
        """
        grid = torch.tensor([[1, rows * self.merge, cols * self.merge]], device=self.kv.device)
        vision = self.network.config.vision_config
        cells, ends = get_vision_window_index(grid, self.merge, vision.window_size, self.patch)
        sizes = np.diff(ends.cpu().numpy()) // self.merge**2
        windows = np.repeat(np.arange(len(sizes)), sizes)
        return get_vision_position_ids(grid, self.merge), cells.cpu().numpy(), windows


def within_windows(
    kept: NDArray[np.bool_], cells: NDArray[np.int64], windows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is left of `cells` in the order of their `windows` [cells] when only the `kept` ones
    are there: indices among these, and how many each window still has, where any.
    """
    stay = kept[cells]
    sizes = np.bincount(windows[stay])
    return (np.cumsum(kept) - 1)[cells[stay]], sizes[sizes > 0]
