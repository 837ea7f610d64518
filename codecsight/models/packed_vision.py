"""Qwen3-VL's own ViT over the kept cells of many slots, in fewer and larger operations.

The weights are transformers' own. Pixels are scaled by the weights that read them; where patches
stand is looked up in one table per grid; and cells that are seen only for their neighbours' sake
give the last layer their keys and values and are done: nobody asks what becomes of them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from codecsight.models.packing import Turn, signed, turned
from codecsight.models.vision_kv_cache import VisionKVCache

Which = NDArray[np.intp]


class PackedVision:
    """The layers of a `visual` model of Qwen3-VL, for pixels that are to be scaled by `mean` and
    `std` (each [3, 1, 1], of pixels from 0 to 1).
    """

    def __init__(self, visual: Any, mean: Tensor, std: Tensor) -> None:
        self._visual, self._unit = visual, int(visual.spatial_merge_unit)
        self._weight, self._bias = reader(visual.patch_embed.proj, mean, std)

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache:
        """Room for a picture of so many cells."""
        blocks, like = self._visual.blocks, self._weight
        heads, width = blocks[0].attn.num_heads, len(like) // blocks[0].attn.num_heads
        return VisionKVCache(like.new_zeros(len(blocks), 2, rows * cols * self._unit, heads, width))

    def __call__(
        self,
        pixels: Tensor,
        kept: Sequence[NDArray[np.bool_]],
        own: Sequence[Which],
        memories: Sequence[VisionKVCache] | None = None,
    ) -> list[Tensor]:
        """Patches [n, 3 * frames * patch * patch] of 0..255, those of the cells `kept` (each
        [rows, cols]) by each of many slots, to the embeddings of each slot's `own` cells (indices
        among the kept) and the levels of their deepstack: each [all own cells, width]. With
        `memories` a slot's cells see what is left of the others.
        """
        tables = [self._table(*one.shape) for one in kept]
        rows = [torch.from_numpy(patches_of(np.flatnonzero(one), self._unit)) for one in kept]
        places, cos, sin = (
            torch.cat([part[row.to(part.device)] for part, row in zip(parts, rows, strict=True)])
            for parts in zip(*tables, strict=True)
        )  # [n, width], [n, 1, head_dim], [n, 1, head_dim]
        hidden = linear(pixels.to(self._weight.dtype), self._weight, self._bias).add_(places)
        slots = Slots([len(row) for row in rows], own, self._unit, hidden.device)
        if memories is not None:
            there = [row.to(hidden.device) for row in rows]
            slots.memories = list(zip(memories, there, strict=True))
        return self._through(hidden, (cos, sin), slots)

    def _through(self, hidden: Tensor, turn: Turn, slots: "Slots") -> list[Tensor]:
        visual, levels = self._visual, []
        for index, block in enumerate(visual.blocks):
            last = index == len(visual.blocks) - 1
            hidden = _block(index, block, hidden, turn, slots, leaving=last)
            if index in visual.deepstack_visual_indexes:
                level = visual.deepstack_visual_indexes.index(index)
                seen = hidden if last else slots.own(hidden)
                levels.append(visual.deepstack_merger_list[level](seen))
        return [visual.merger(hidden), *levels]

    @lru_cache(maxsize=64)  # noqa: B019 - lives as long as the adapter, which lives for ever
    def _table(self, rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of each patch of a whole picture, cell by cell: its learned position [patches, width],
        the cosines and signed sines of its place [patches, 1, head_dim].
        """
        visual, merge = self._visual, self._visual.spatial_merge_size
        grid = torch.tensor([[1, rows * merge, cols * merge]], device=self._weight.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid,
            visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=merge,
        )
        places = (visual.pos_embed(indices) * weights[:, :, None]).sum(1).to(self._weight.dtype)
        cos, sin = visual.rotary_pos_emb(places, get_vision_position_ids(grid, merge))
        return places, cos[:, None], signed(sin)[:, None]


class Slots:
    """How a pack of patches falls into slots, `counts` each, and which of them stay to the end.
    `memories` are those of the slots, if they have any, and the slots' rows in them.
    """

    def __init__(
        self, counts: list[int], own: Sequence[Which], unit: int, device: torch.device
    ) -> None:
        self.counts = counts
        self.memories: list[tuple[VisionKVCache, Tensor]] = []
        mine = [patches_of(one, unit) for one in own]
        self.asking = [len(one) for one in mine]
        places = zip(np.cumsum([0, *counts[:-1]]), mine, strict=True)
        index = np.concatenate([start + one for start, one in places])
        self._own = None if len(index) == sum(counts) else torch.from_numpy(index).to(device)

    def own(self, hidden: Tensor) -> Tensor:
        """Of a pack [n, ...], what stays to the end."""
        return hidden if self._own is None else hidden[self._own]

    def shown(self, layer: int, key: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What each slot's patches see in a layer, of a pack's keys and values [n, heads, d]: its
        own, or all that is remembered once these are.
        """
        own = zip(torch.split(key, self.counts), torch.split(value, self.counts), strict=True)
        if not self.memories:
            return list(own)
        pairs = zip(self.memories, own, strict=True)
        return [memory.update(layer, rows, *mine) for (memory, rows), mine in pairs]


def _block(
    layer: int, block: Any, hidden: Tensor, turn: Turn, slots: Slots, *, leaving: bool
) -> Tensor:
    """[n, width] to the same, or where those `leaving` do so to [own, width]."""
    attention = block.attn
    ready = block.norm1(hidden)
    heads = attention.qkv(ready).view(len(hidden), 3, attention.num_heads, -1)
    there = turn[0][:, None], turn[1][:, None]  # in float32, as transformers has it
    query, key = turned(heads[:, :2], there).to(heads.dtype).unbind(1)
    shown, asking = slots.shown(layer, key, heads[:, 2]), slots.counts
    if leaving:
        query, hidden, asking = slots.own(query), slots.own(hidden), slots.asking
    seen = _attend(query, asking, shown)
    hidden = hidden + attention.proj(seen)
    return hidden.add_(block.mlp(block.norm2(hidden)))


def _attend(query: Tensor, asking: list[int], shown: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Each slot for itself: query [own, heads, d] to [own, width]."""
    seen = []
    for query_of, pair in zip(torch.split(query, asking), shown, strict=True):
        q, k, v = (each.transpose(0, 1)[None] for each in (query_of, *pair))
        seen.append(scaled_dot_product_attention(q, k, v))
    return torch.cat(seen, dim=2)[0].transpose(0, 1).flatten(1)


def patches_of(cells: Which, unit: int) -> Which:
    """The patches of cells, `unit` to each, side by side."""
    return (cells[:, None] * unit + np.arange(unit)).ravel()


@torch.no_grad()
def reader(proj: Any, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """A ViT's first layer for pixels of 0..255: weight [width, patch], bias [width]."""
    scaled = proj.weight.float() / std[:, None]  # [width, 3, frames, patch, patch]
    bias = proj.bias.float() - (scaled * mean[:, None]).sum((1, 2, 3, 4))
    weight = (scaled / 255).flatten(1)
    return weight.to(proj.weight.dtype), bias.to(proj.weight.dtype)
