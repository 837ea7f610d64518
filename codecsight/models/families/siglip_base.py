"""Base of the families whose ViT encodes single square pictures (SigLIP and similar).

Every patch attends to all others, with a learned position embedding. Pruned, the kept patches have
the embeddings of their positions and attend to each other. A slot is one frame, and each of its
cells takes one position in the text model, row by row.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codecsight.core.grid import GridSpec
from codecsight.core.slot import Slot
from codecsight.models.adapter import Adapter
from codecsight.models.families.attention import block_diagonal


class SiglipAdapter(Adapter):
    """Adapter for such a ViT, which was trained on pictures of `side` x `side` cells."""

    frames = 1
    side: int

    # Defined by each family

    @property
    @abstractmethod
    def _vit(self) -> Any:
        """The ViT."""

    @abstractmethod
    def _layers(self) -> Sequence[Any]:
        """The ViT layers to run."""

    @abstractmethod
    def _embed_patches(self, pixels: Tensor) -> Tensor:
        """Patch embeddings [n, d] of pixels [n, 3, patch, patch]."""

    @abstractmethod
    def _position_embeddings(self, rows: int, cols: int) -> Tensor:
        """Position embeddings [rows * cols, d] of a picture of `rows` x `cols` patches, row by
        row.
        """

    @abstractmethod
    def _project(self, patches: Tensor) -> Tensor:
        """Embeddings for the text model [cells, d] from the last layer's patches
        [cells, merge^2, d].
        """

    def _leading_tokens(self) -> Tensor:
        """Embeddings [n, d] of the tokens before a picture's patches (a class token)."""
        return torch.empty(0, self._vit.config.hidden_size, device=self.kv.device)

    def _run_layer(self, layer: Any, pack: Tensor) -> Tensor:
        """Run one ViT layer."""
        output: Tensor = layer(pack, attention_mask=None)
        return output

    # Common to all

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """The model's input requirements, at `rate` sampled frames per second."""
        side = min(self.side, math.isqrt(max_cells))
        return GridSpec(self.cell, self.frames, rate, max_cells=side * side, square=True)

    def _run_vit(self, slots: Sequence[Slot]) -> list[Tensor]:
        """Encode all slots in one pack, each as [leading tokens, kept patches]."""
        pixels = self._pixels(slots).view(-1, 3, self.patch, self.patch)
        positions = torch.cat([self._kept_position_embeddings(slot) for slot in slots])
        hidden = self._embed_patches(pixels) + positions
        leading, unit = self._leading_tokens().to(hidden.dtype), self.merge**2
        counts = [slot.kept_count * unit for slot in slots]
        lengths = [len(leading) + count for count in counts]
        pictures = [torch.cat([leading, picture]) for picture in torch.split(hidden, counts)]
        pack = torch.cat(pictures)[None]
        with block_diagonal(self._vit.config, lengths):
            for layer in self._layers():
                pack = self._run_layer(layer, pack)
        patches = [picture[len(leading) :] for picture in torch.split(pack[0], lengths)]
        return [self._project(torch.cat(patches).view(-1, unit, pack.shape[-1]))]

    def _kept_position_embeddings(self, slot: Slot) -> Tensor:
        """Position embeddings of the kept patches, the patches of a cell adjacent."""
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        return self._position_table(*slot.kept.shape)[kept.to(self.kv.device)]

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _position_table(self, rows: int, cols: int) -> Tensor:
        """Position embeddings of a whole picture of `rows` x `cols` cells, the patches of a cell
        adjacent.
        """
        merge = self.merge
        by_row = self._position_embeddings(rows * merge, cols * merge)
        by_cell = by_row.view(rows, merge, cols, merge, -1).transpose(1, 2)
        return by_cell.reshape(rows * cols * merge**2, -1)
