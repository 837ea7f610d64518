"""The interface of a vision-language model, as the engine uses it, and the values it exchanges."""

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

CellIndices = NDArray[np.intp]
"""Indices of some of a slot's kept cells."""


@dataclass(frozen=True, slots=True)
class CellFeatures:
    """Output of the ViT for some cells: `embeddings` [cells, d], which replace the embeddings of
    the cells' tokens, and `deepstack` [levels, cells, d], added after the first text layers.
    """

    embeddings: Tensor
    deepstack: Tensor

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def cell_bytes(self) -> int:
        """Bytes per cell."""
        width, size = self.embeddings.shape[-1], self.embeddings.element_size()
        return (1 + len(self.deepstack)) * width * size

    @property
    def nbytes(self) -> int:
        """Bytes of all cells."""
        return len(self) * self.cell_bytes

    def select(self, which: NDArray[Any]) -> "CellFeatures":
        """The features of some of the cells, given as a mask or as indices."""
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
    """Shape of one token's entry in the KV cache: keys and values of [layers, heads, head_dim]."""

    layers: int
    heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device


AttentionFunction = Callable[[int, Tensor, Tensor, Tensor, bool], Tensor]
"""Attention of one text layer: (layer, query [queries, heads, d], key and value [tokens, kv_heads,
d], whether the queries are only the tokens whose logits are read) to [queries, heads, d]."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of an offset per token, each [tokens, head_dim]."""


class VisionLanguageModel(Protocol):
    """A ViT over cells, a text model over a token sequence, and a tokenizer.

    A model has no notion of streams or windows, and no call changes its state.
    """

    name: str
    layout: PromptLayout
    kv: KVShape
    cell: int
    """Side of a cell in pixels."""
    frames: int
    """Sampled frames in a slot."""
    tokenizer: Any
    """The transformers tokenizer."""
    calibration: Calibration
    """Temperatures of the answer probabilities."""

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """The model's input requirements, at `rate` sampled frames per second."""
        ...

    def new_vision_kv_cache(self, rows: int, cols: int) -> VisionKVCache | None:
        """A zeroed cache for pictures of `rows` x `cols` cells, or None if this ViT can't attend to
        cached cells.
        """
        ...

    def encode_cells(self, slot: Slot, cache: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over one slot's kept cells, each at its position in the picture.

        Dropped cells take no part, or with a `cache` are attended to as they were last encoded; the
        cache is updated. The order is that of `slot.patches`.
        """
        ...

    def encode_slots(
        self,
        slots: Sequence[Slot],
        wanted: Sequence[CellIndices] | None = None,
        caches: Sequence[VisionKVCache] | None = None,
    ) -> list[CellFeatures]:
        """Run the ViT over many slots in one call; slots don't attend to each other.

        With `wanted` (per slot, indices among its kept cells) only the features of these cells are
        returned; the other kept cells are context. With `caches`, one per slot, every kept cell
        must be wanted.
        """
        ...

    def masked_pairs(self, kept: NDArray[np.bool_]) -> int:
        """Number of ordered pairs of kept cells (mask [rows, cols]) that don't attend to each other
        in the ViT layers with window attention; 0 for a ViT without such layers.
        """
        ...

    def no_cells(self) -> CellFeatures:
        """The features of zero cells."""
        ...

    def forward(
        self, tokens: Tokens, cells: CellFeatures, cache: Any, mask: Tensor, read: Tensor
    ) -> Tensor:
        """Run the text model over one sequence, as transformers does.

        `tokens` have their final positions; `cells` replace the embeddings of the visual ones.
        `cache` is a transformers `Cache` whose `update` returns the keys and values to attend to.
        `mask` is bool [tokens, keys], True where attended. Returns float32 logits
        [len(read), vocab] after the tokens with the indices `read`.
        """
        ...

    def forward_packed(
        self, tokens: Tokens, cells: CellFeatures, attend: AttentionFunction, read: Tensor
    ) -> Tensor:
        """Run the text model over the concatenated tokens of many sequences.

        `attend` computes the attention of each layer and so decides which tokens attend to which.
        In the last layer it gets queries for the tokens `read` only. Returns float32 logits
        [len(read), vocab].
        """
        ...

    def synchronize(self) -> None:
        """Wait until the device has finished all submitted work."""
        ...

    def rotation(self, offsets: Tensor) -> Rotation:
        """The rotation that moves each token by its offset in positions (int64 [tokens])."""
        ...

    def rotate_keys(self, keys: Tensor, rotation: Rotation) -> Tensor:
        """Cached keys [..., tokens, head_dim], moved by the offsets of `rotation`."""
        ...

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without special tokens."""
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
        """The tokenizer's id for unknown text, if it has one."""
        ...
