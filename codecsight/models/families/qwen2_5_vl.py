"""Adapter for Qwen2.5-VL.

Most layers of its ViT attend within windows of 4 x 4 cells. In a pruned picture a cell attends to
the kept cells of its window in these layers, and to all kept cells in the others. Every slot is a
video of its own to the text model, with its time as text, as in Qwen3-VL. In one long video the
first of the three position axes alone would carry the time, and sliding the window would shift each
axis by a different amount.
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
from codecsight.models.families.qwen3_vl import cumulative_patches, qwen_prompt_format
from codecsight.models.prompt import PromptFormat


class Qwen25VL(Adapter):
    """Adapter for `Qwen2_5_VLForConditionalGeneration`."""

    family = "qwen2_5_vl"
    network_class = Qwen2_5_VLForConditionalGeneration
    pixel_normalization = (tuple(OPENAI_CLIP_MEAN), tuple(OPENAI_CLIP_STD))

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.frames = vision.temporal_patch_size

    def _prompt_format(self) -> PromptFormat:
        return qwen_prompt_format(self.tokenizer, self.network.config)

    def _position_ids(self, positions: Tensor) -> Tensor:
        return positions[:, None]

    def _run_vit(self, slots: Sequence[Slot]) -> list[Tensor]:
        device, unit = self.kv.device, self.merge**2
        tables = [self._position_table(*slot.kept.shape) for slot in slots]
        kept = [torch.from_numpy(np.repeat(slot.kept.reshape(-1), unit)) for slot in slots]
        positions = [table[0][mask.to(device)] for table, mask in zip(tables, kept, strict=True)]
        # Cells of all slots in window order, and where each window ends among them.
        order, ends = [], [0]
        for slot, (_, cells, windows) in zip(slots, tables, strict=True):
            picked, sizes = order_by_window(slot.kept.reshape(-1), cells, windows)
            order.append(picked + ends[-1])
            ends += (ends[-1] + np.cumsum(sizes)).tolist()
        output = self.network.model.visual(
            self._pixels(slots),
            grid_thw=None,
            position_ids=torch.cat(positions),
            cu_seqlens=cumulative_patches(slots, unit).to(device),
            window_index=torch.from_numpy(np.concatenate(order)).to(device),
            cu_window_seqlens=torch.tensor(ends, dtype=torch.int32, device=device) * unit,
        )
        return [output.pooler_output]

    def masked_pairs(self, kept: NDArray[np.bool_]) -> int:
        """Ordered pairs of kept cells in different windows."""
        _, cells, windows = self._position_table(*kept.shape)
        _, sizes = order_by_window(kept.reshape(-1), cells, windows)
        return int(kept.sum() ** 2 - (sizes**2).sum())

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _position_table(
        self, rows: int, cols: int
    ) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """For a whole picture: row and column of each patch, cell by cell; the indices of its cells
        in window order; and the window of each of these.
        """
        grid = torch.tensor([[1, rows * self.merge, cols * self.merge]], device=self.kv.device)
        vision = self.network.config.vision_config
        cells, ends = get_vision_window_index(grid, self.merge, vision.window_size, self.patch)
        sizes = np.diff(ends.cpu().numpy()) // self.merge**2
        windows = np.repeat(np.arange(len(sizes)), sizes)
        return get_vision_position_ids(grid, self.merge), cells.cpu().numpy(), windows


def order_by_window(
    kept: NDArray[np.bool_], cells: NDArray[np.int64], windows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The kept cells in window order, as indices among the kept cells, and the number of kept cells
    in each window that has some.

    `kept` is the mask of all cells, `cells` their indices in window order and `windows` the window
    of each of these. With kept = [1, 0, 1, 1], cells = [0, 2, 1, 3] and windows = [0, 0, 1, 1] the
    result is [0, 1, 2] and [2, 1].
    """
    stays = kept[cells]
    sizes = np.bincount(windows[stays])
    return (np.cumsum(kept) - 1)[cells[stays]], sizes[sizes > 0]
