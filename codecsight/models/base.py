"""What the engine needs of a vision-language model, whatever its family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.core.grid import GridSpec
from codecsight.core.slot import Slot
from codecsight.models.calibration import Calibration
from codecsight.models.prompt import PromptLayout, Tokens
from codecsight.models.vision_kv_cache import VisionKVCache


@dataclass(frozen=True, slots=True)
class CellFeatures:
    """What the ViT says of some cells: `embeddings` [cells, d], which take the place of the
    cells' tokens, and `deepstack` [levels, cells, d], added after the first text layers.
    """

    embeddings: Tensor
    deepstack: Tensor

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def cell_bytes(self) -> int:
        """What each cell takes."""
        width, size = self.embeddings.shape[-1], self.embeddings.element_size()
        return (1 + len(self.deepstack)) * width * size

    @property
    def nbytes(self) -> int:
        """What all take."""
        return len(self) * self.cell_bytes

    def select(self, which: NDArray[Any]) -> "CellFeatures":
        """Only these cells (a mask or indices)."""
        index = torch.from_numpy(which).to(self.embeddings.device)
        return CellFeatures(self.embeddings[index], self.deepstack[:, index])

    @staticmethod
    def join(parts: Sequence["CellFeatures"]) -> "CellFeatures":
        """The cells of all parts, in order."""
        return CellFeatures(
            torch.cat([part.embeddings for part in parts]),
            torch.cat([part.deepstack for part in parts], dim=1),
        )


@dataclass(frozen=True, slots=True)
class KVShape:
    """What one token costs in the cache: keys and values of [layers, heads, head_dim]."""

    layers: int
    heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device


Attend = Callable[[int, Tensor, Tensor, Tensor, bool], Tensor]
"""A layer's attention: (layer, query [asking, heads, d], key and value [tokens, kv_heads, d],
whether only those tokens ask whose logits are read, or all) to [asking, heads, d]."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, each [tokens, head_dim]."""


class VisionLanguageModel(Protocol):
    """One model: a ViT over cells, a text model over a sequence, and the words between them.

    Nothing in here knows of streams or windows, and no call leaves a trace in the model.
    """

    name: str
    layout: PromptLayout
    kv: KVShape
    cell: int
    """Side of a cell in pixels."""
    frames: int
    """Sampled frames in a slot."""
    tokenizer: Any
    """transformers' own."""
    calibration: Calibration
    """How sure it may be of its answers."""

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """What this model asks of the edge, at `rate` sampled frames per second."""
        ...

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache | None:
        """Room for what the ViT leaves of a picture of so many cells; None where it can't attend to
        what it left before.
        """
        ...

    def encode_cells(self, slot: Slot, memory: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over the slot's kept cells alone, each at its true place in the picture;
        the dropped ones take no part, or with a `memory` are seen as they were left there. Order as
        in `slot.patches`.
        """
        ...

    def encode_slots(
        self,
        slots: Sequence[Slot],
        own: Sequence[NDArray[np.intp]] | None = None,
        caches: Sequence[VisionKVCache] | None = None,
    ) -> list[CellFeatures]:
        """The same for many slots in one call; none sees another. With `own` (per slot, indices
        among its kept cells) only these cells' features are wanted, the others are there to be
        seen by them. With `memories`, one for each slot, all are wanted.
        """
        ...

    def masked_pairs(self, kept: NDArray[np.bool_]) -> int:
        """How many ordered pairs of these cells ([rows, cols]) don't see each other in the layers
        of the ViT that attend in windows; 0 where none do.
        """
        ...

    def no_cells(self) -> CellFeatures:
        """The features of zero cells."""
        ...

    def forward(
        self, tokens: Tokens, cells: CellFeatures, cache: Any, mask: Tensor, read: Tensor
    ) -> Tensor:
        """Run the text model over `tokens` (standing at their places in the sequence), with
        `cells` in place of the visual ones.

        `cache` is a transformers `Cache` whose `update` gives the keys and values to attend to;
        `mask` bool [tokens, keys] says who sees whom. Returns float32 logits [len(read), vocab]
        that follow the tokens with the indices `read`.
        """
        ...

    def forward_packed(
        self, tokens: Tokens, cells: CellFeatures, attend: Attend, read: Tensor
    ) -> Tensor:
        """The same for tokens of many sequences side by side: `attend` is called in each layer and
        says who sees whom. In the last layer only the tokens `read` need to ask.
        """
        ...

    def synchronize(self) -> None:
        """Until everything asked of the device is done."""
        ...

    def rotation(self, by: Tensor) -> Rotation:
        """What `rotate_keys` needs to move tokens by so many positions each (int64 [tokens])."""
        ...

    def rotate_keys(self, keys: Tensor, rotation: Rotation) -> Tensor:
        """Cached keys [..., tokens, head_dim] as they would be so many positions later."""
        ...

    def detokenize(self, ids: Sequence[int]) -> str:
        """The words of `ids`, without special tokens."""
        ...

    def is_eos(self, token: int) -> bool:
        """Whether `token` ends an answer."""
        ...

    @property
    def eos_token_id(self) -> int:
        """The token that ends an answer."""
        ...

    @property
    def unk_token_id(self) -> int | None:
        """The tokenizer's id for what it cannot spell, if it has one."""
        ...
