"""Packed forward pass of Qwen3-VL's ViT: kept cells of many slots, in fewer and larger operations.

The weights are transformers' own; only the order of the work differs. Pixel normalisation is folded
into the first layer's weights, and position embeddings are looked up in one table per grid. Cells
that are only context (not wanted) give the last layer their keys and values; nothing after that is
computed for them. Three slots with 12, 4 and 6 kept cells, 4 patches a cell, of which 12, 2 and 3
cells are wanted:

    layers 0 .. L-2    [88, width] -> [88, width]    22 cells
    layer L-1          [88, width] -> [68, width]    17 wanted cells
    merger             [68, width] -> [17, d]
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

from codecsight.models.base import CellIndices
from codecsight.models.packed_ops import RotaryTable, apply_rotary, signed_sines
from codecsight.models.vision_kv_cache import VisionKVCache


class PackedVision:
    """The layers of Qwen3-VL's `visual` model, for pixels normalised by `mean` and `std` (each
    [3, 1, 1], for pixels from 0 to 1).
    """

    def __init__(self, visual: Any, mean: Tensor, std: Tensor) -> None:
        self._visual, self._unit = visual, int(visual.spatial_merge_unit)  # patches per cell
        self._weight, self._bias = fold_normalization(visual.patch_embed.proj, mean, std)

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache:
        """A zeroed cache for a picture of `rows` x `cols` cells."""
        blocks, like = self._visual.blocks, self._weight
        heads, width = blocks[0].attn.num_heads, len(like) // blocks[0].attn.num_heads
        return VisionKVCache(like.new_zeros(len(blocks), 2, rows * cols * self._unit, heads, width))

    def __call__(
        self,
        pixels: Tensor,
        kept: Sequence[NDArray[np.bool_]],
        wanted: Sequence[CellIndices],
        caches: Sequence[VisionKVCache] | None = None,
    ) -> list[Tensor]:
        """Embeddings and deepstack levels of the wanted cells, each [all wanted cells, d].

        `pixels` [n, 3 * frames * patch * patch] are the patches, 0..255, of the cells in each
        slot's mask `kept` (bool [rows, cols]). `wanted` are indices among each slot's kept cells.
        A slot's cells attend to each other, with `caches` also to the other cells of its picture.
        """
        tables = [self._position_table(*mask.shape) for mask in kept]
        patches = [torch.from_numpy(patch_indices(np.flatnonzero(m), self._unit)) for m in kept]
        embeddings, cos, sin = (
            torch.cat([part[at.to(part.device)] for part, at in zip(parts, patches, strict=True)])
            for parts in zip(*tables, strict=True)
        )  # [n, width], [n, 1, head_dim], [n, 1, head_dim]
        hidden = linear(pixels.to(self._weight.dtype), self._weight, self._bias).add_(embeddings)
        pack = SlotPack([len(each) for each in patches], wanted, self._unit, hidden.device)
        if caches is not None:
            on_device = [each.to(hidden.device) for each in patches]
            pack.caches = list(zip(caches, on_device, strict=True))
        return self._run_layers(hidden, (cos, sin), pack)

    def _run_layers(self, hidden: Tensor, rotary: RotaryTable, pack: "SlotPack") -> list[Tensor]:
        visual, levels = self._visual, []
        for index, block in enumerate(visual.blocks):
            last = index == len(visual.blocks) - 1
            hidden = _block(index, block, hidden, rotary, pack, last=last)
            if index in visual.deepstack_visual_indexes:
                level = visual.deepstack_visual_indexes.index(index)
                wanted = hidden if last else pack.select_wanted(hidden)
                levels.append(visual.deepstack_merger_list[level](wanted))
        return [visual.merger(hidden), *levels]

    @lru_cache(maxsize=64)  # noqa: B019 - lives as long as the adapter: until the process ends
    def _position_table(self, rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
        """For each patch of a whole picture, cell by cell: its position embedding
        [patches, width], and the cosines and signed sines of its position [patches, 1, head_dim].
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
        learned = (visual.pos_embed(indices) * weights[:, :, None]).sum(1).to(self._weight.dtype)
        cos, sin = visual.rotary_pos_emb(learned, get_vision_position_ids(grid, merge))
        return learned, cos[:, None], signed_sines(sin)[:, None]


class SlotPack:
    """Boundaries of the slots in a pack of patches, and the patches of the wanted cells.

    `counts` is the number of patches of each slot. `caches` holds each slot's cache and the indices
    of its patches there (empty without caches).
    """

    def __init__(
        self, counts: list[int], wanted: Sequence[CellIndices], unit: int, device: torch.device
    ) -> None:
        self.counts = counts
        self.caches: list[tuple[VisionKVCache, Tensor]] = []
        patches = [patch_indices(cells, unit) for cells in wanted]
        self.wanted_counts = [len(each) for each in patches]
        starts = np.cumsum([0, *counts[:-1]])
        index = np.concatenate([start + each for start, each in zip(starts, patches, strict=True)])
        # None if all patches are wanted: no copy is needed.
        self._wanted = None if len(index) == sum(counts) else torch.from_numpy(index).to(device)

    def select_wanted(self, hidden: Tensor) -> Tensor:
        """The patches of the wanted cells, of a pack [n, ...]."""
        return hidden if self._wanted is None else hidden[self._wanted]

    def keys_and_values(
        self, layer: int, key: Tensor, value: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """The keys and values that each slot's patches attend to in a layer.

        Without caches these are the slot's own, of the pack's [n, heads, d]; with caches they are
        those of the whole picture, after the slot's own were written into its cache.
        """
        own = zip(torch.split(key, self.counts), torch.split(value, self.counts), strict=True)
        if not self.caches:
            return list(own)
        pairs = zip(self.caches, own, strict=True)
        return [cache.update(layer, patches, *new) for (cache, patches), new in pairs]


def _block(
    layer: int, block: Any, hidden: Tensor, rotary: RotaryTable, pack: SlotPack, *, last: bool
) -> Tensor:
    """One ViT layer: [n, width] to [n, width], or to [wanted patches, width] in the last layer."""
    attention = block.attn
    normed = block.norm1(hidden)
    heads = attention.qkv(normed).view(len(hidden), 3, attention.num_heads, -1)
    # Queries and keys are rotated together: [n, 2, heads, head_dim]. The table is float32, as in
    # transformers, and so is the rotation.
    table = rotary[0][:, None], rotary[1][:, None]
    query, key = apply_rotary(heads[:, :2], table).to(heads.dtype).unbind(1)
    keys_and_values, query_counts = pack.keys_and_values(layer, key, heads[:, 2]), pack.counts
    if last:
        query, hidden = pack.select_wanted(query), pack.select_wanted(hidden)
        query_counts = pack.wanted_counts
    hidden = hidden + attention.proj(_attend(query, query_counts, keys_and_values))
    return hidden.add_(block.mlp(block.norm2(hidden)))


def _attend(
    query: Tensor, counts: list[int], keys_and_values: list[tuple[Tensor, Tensor]]
) -> Tensor:
    """Attention of each slot's queries to its own keys: query [n, heads, d] to [n, width]."""
    attended = []
    for query_of_slot, pair in zip(torch.split(query, counts), keys_and_values, strict=True):
        q, k, v = (each.transpose(0, 1)[None] for each in (query_of_slot, *pair))
        attended.append(scaled_dot_product_attention(q, k, v))
    return torch.cat(attended, dim=2)[0].transpose(0, 1).flatten(1)


def patch_indices(cells: CellIndices, unit: int) -> CellIndices:
    """Indices of the cells' patches, in cell order, where each cell has `unit` adjacent patches."""
    return (cells[:, None] * unit + np.arange(unit)).ravel()


@torch.no_grad()
def fold_normalization(proj: Any, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [width, patch] and bias [width] of a ViT's first layer, for pixels from 0 to 255."""
    scaled = proj.weight.float() / std[:, None]  # [width, 3, frames, patch, patch]
    bias = proj.bias.float() - (scaled * mean[:, None]).sum((1, 2, 3, 4))
    weight = (scaled / 255).flatten(1)
    return weight.to(proj.weight.dtype), bias.to(proj.weight.dtype)
