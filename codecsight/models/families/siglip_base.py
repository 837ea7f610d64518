"""What families share whose ViT was made for single square pictures.

Every patch attends to every other and knows its place by a learned embedding. Pruned, the kept
patches carry the embeddings of their places and attend to one another. A slot is one frame, and its
cells take one position each, row by row.
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
    """An adapter around such a ViT, which was trained on pictures of `side` x `side` cells."""

    frames = 1
    side: int

    # What a family says of itself

    @property
    @abstractmethod
    def _tower(self) -> Any:
        """The ViT."""

    @abstractmethod
    def _layers(self) -> Sequence[Any]:
        """Those of its layers that are used."""

    @abstractmethod
    def _embed_patches(self, pixels: Tensor) -> Tensor:
        """Pixels [n, 3, patch, patch] as the ViT first sees them: [n, d]."""

    @abstractmethod
    def _embed_places(self, rows: int, cols: int) -> Tensor:
        """What is added in a picture of so many patches: [rows * cols, d], row by row."""

    @abstractmethod
    def _project(self, patches: Tensor) -> Tensor:
        """What the last layer says of the patches of cells [cells, merge^2, d] as the text model
        reads it: [cells, d].
        """

    def _heading(self) -> Tensor:
        """What the ViT sees before a picture's patches: [n, d]."""
        return torch.empty(0, self._tower.config.hidden_size, device=self.kv.device)

    # What it comes to

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """What this model asks of the edge, at `rate` sampled frames per second."""
        side = min(self.side, math.isqrt(max_cells))
        return GridSpec(self.cell, self.frames, rate, max_cells=side * side, square=True)

    def _see(self, slots: Sequence[Slot]) -> list[Tensor]:
        pixels = self._pixels(slots).view(-1, 3, self.patch, self.patch)
        hidden = self._embed_patches(pixels) + torch.cat([self._places(slot) for slot in slots])
        heading, unit = self._heading().to(hidden.dtype), self.merge**2
        counts = [slot.kept_count * unit for slot in slots]
        lengths = [len(heading) + count for count in counts]
        pictures = [torch.cat([heading, picture]) for picture in torch.split(hidden, counts)]
        pack = torch.cat(pictures)[None]
        with block_diagonal(self._tower.config, lengths):
            for layer in self._layers():
                pack = self._through(layer, pack)
        seen = [picture[len(heading) :] for picture in torch.split(pack[0], lengths)]
        return [self._project(torch.cat(seen).view(-1, unit, pack.shape[-1]))]

    def _through(self, layer: Any, pack: Tensor) -> Tensor:
        """One layer of the ViT."""
        seen: Tensor = layer(pack, attention_mask=None)
        return seen

    def _places(self, slot: Slot) -> Tensor:
        """The embeddings of the kept patches' places, the patches of a cell side by side."""
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        return self._table(*slot.kept.shape)[kept.to(self.kv.device)]

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _table(self, rows: int, cols: int) -> Tensor:
        """The same for a whole picture of so many cells."""
        merge = self.merge
        places = self._embed_places(rows * merge, cols * merge)
        by_cell = places.view(rows, merge, cols, merge, -1).transpose(1, 2)
        return by_cell.reshape(rows * cols * merge**2, -1)
