"""Base of all model families: a transformers network called with our own position tables.

A family's adapter defines how its ViT encodes cells (`_run_vit`), how its prompt is written
(`_prompt_format`) and its sizes (`_configure`); everything about the text model is here. For
Qwen3-VL with 32-pixel cells, a slot with 10 kept cells goes through

    slot.patches        uint8 [10, 2, 3, 32, 32]    cells, frames, RGB, height, width
    patchify            float [40, 1536]            4 patches a cell, 3 * 2 * 16 * 16 values each
    encode_cells        [10, d], [levels, 10, d]    embeddings and deepstack of CellFeatures
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from codecsight.core.grid import GridSpec
from codecsight.core.slot import Slot
from codecsight.models.base import (
    AttentionFunction,
    CellFeatures,
    CellIndices,
    KVShape,
    Rotation,
)
from codecsight.models.calibration import Calibration
from codecsight.models.packed_ops import RotaryTable, signed_sines
from codecsight.models.packed_text import PackedText
from codecsight.models.prompt import PromptFormat, PromptLayout, Tokens
from codecsight.models.validation import check_text_model, eos_tokens
from codecsight.models.vision_kv_cache import VisionKVCache

PixelNormalization = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation per RGB channel, for pixels from 0 to 1."""


class Adapter(ABC):
    """A `VisionLanguageModel` around a transformers `network`.

    `normalization` is that of the checkpoint's own processor. Raises ModelError for a network that
    can't run with a sliding window.
    """

    family: ClassVar[str]
    """transformers' model_type."""
    network_class: ClassVar[Any]
    pixel_normalization: ClassVar[PixelNormalization] = ((0.5,) * 3, (0.5,) * 3)
    """Default of the family's transformers processor, for checkpoints that declare none."""

    patch: int
    """Side of a ViT patch in pixels."""
    merge: int
    """Side of a cell in patches."""
    frames: int

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: Any,
        *,
        name: str,
        normalization: PixelNormalization | None = None,
    ) -> None:
        self.name = name
        self.calibration = Calibration()
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.tokenizer = tokenizer
        text = self.text.config
        self.kv = KVShape(
            layers=text.num_hidden_layers,
            heads=text.num_key_value_heads,
            head_dim=self.text.layers[0].self_attn.head_dim,
            dtype=network.dtype,
            device=network.device,
        )
        check_text_model(name, self.text, self.kv)
        self._configure(network.config)
        self.cell = self.patch * self.merge
        self.layout = PromptLayout(tokenizer, self._prompt_format())
        self._mean, self._std = (
            torch.tensor(each, device=self.kv.device).view(3, 1, 1)
            for each in normalization or self.pixel_normalization
        )
        self._eos_tokens = eos_tokens(network, tokenizer)
        self._packed = PackedText(self.text)

    # Defined by each family

    @property
    def text(self) -> Any:
        """The network's text model."""
        return self.network.model.language_model

    @abstractmethod
    def _configure(self, config: Any) -> None:
        """Set `patch`, `merge` and `frames`. Raises ModelError for an unsupported configuration."""

    @abstractmethod
    def _prompt_format(self) -> PromptFormat:
        """How the family writes a stream as text."""

    @abstractmethod
    def _run_vit(self, slots: Sequence[Slot]) -> list[Tensor]:
        """Encode the kept cells of slots that each have some; slots don't attend to each other.

        Returns the embeddings, then the deepstack levels, each [all cells, d].
        """

    def _run_vit_packed(
        self,
        slots: Sequence[Slot],
        wanted: Sequence[CellIndices],
        _caches: Sequence[VisionKVCache] | None,
    ) -> list[Tensor]:
        """Encode the `wanted` cells of each slot (indices among the kept ones) in the fastest way
        the family has. Returns the same as `_run_vit`, each [all wanted cells, d].
        """
        starts = np.cumsum([0, *(slot.kept_count for slot in slots)])
        cells = [start + each for start, each in zip(starts[:-1], wanted, strict=True)]
        index = torch.from_numpy(np.concatenate(cells)).to(self.kv.device)
        return [layer[index] for layer in self._run_vit(slots)]

    @property
    def _deepstack_levels(self) -> int:
        """Number of deepstack levels."""
        return 0

    def _position_ids(self, positions: Tensor) -> Tensor:
        """Positions [3, n] in the form the text model takes."""
        return positions[:1]

    def _extra_text_inputs(self, _visual: Tensor, _cells: CellFeatures) -> dict[str, Any]:
        """Arguments of the text model about the cells, besides their embeddings."""
        return {}

    # The interface of `VisionLanguageModel`

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """The model's input requirements, at `rate` sampled frames per second."""
        return GridSpec(cell=self.cell, frames=self.frames, rate=rate, max_cells=max_cells)

    def new_vision_kv_cache(self, _rows: int, _cols: int) -> VisionKVCache | None:
        """None: most ViTs can't attend to cached cells."""
        return None

    def encode_cells(self, slot: Slot, _cache: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over one slot's kept cells, as transformers does."""
        if not slot.kept_count:
            return self.no_cells()
        layers = torch.stack(self._run_vit([slot]))
        return CellFeatures(embeddings=layers[0], deepstack=layers[1:])

    def encode_slots(
        self,
        slots: Sequence[Slot],
        wanted: Sequence[CellIndices] | None = None,
        caches: Sequence[VisionKVCache] | None = None,
    ) -> list[CellFeatures]:
        """Run the ViT over many slots; see `VisionLanguageModel.encode_slots`."""
        wanted = [np.arange(slot.kept_count) for slot in slots] if wanted is None else wanted
        # A ViT can't run over zero patches, so slots without cells are left out.
        full = [index for index, slot in enumerate(slots) if slot.kept_count]
        if not full:
            return [self.no_cells() for _ in slots]
        used = None if caches is None else [caches[index] for index in full]
        layers = self._run_vit_packed([slots[i] for i in full], [wanted[i] for i in full], used)
        parts = torch.split(torch.stack(layers), [len(cells) for cells in wanted], dim=1)
        # Copies: a view would keep the whole pack alive as long as any of its streams.
        return [CellFeatures(part[0].clone(), part[1:].clone()) for part in parts]

    def masked_pairs(self, _kept: NDArray[np.bool_]) -> int:
        """0: most ViTs have full attention in all layers."""
        return 0

    def no_cells(self) -> CellFeatures:
        """The features of zero cells."""
        return self._no_cells

    @cached_property
    def _no_cells(self) -> CellFeatures:
        width = self.text.config.hidden_size
        empty = torch.empty(0, width, dtype=self.kv.dtype, device=self.kv.device)
        return CellFeatures(empty, empty.expand(self._deepstack_levels, 0, width))

    def patchify(self, cells: Tensor) -> Tensor:
        """Normalise uint8 cells [kept, frames, 3, cell, cell] and split them into ViT patches:
        [kept * merge^2, 3 * frames * patch * patch], the patches of a cell adjacent.
        """
        normalized = (cells.to(self.kv.device).float() / 255 - self._mean) / self._std
        return self._split_patches(normalized)

    def _split_patches(self, cells: Tensor) -> Tensor:
        """Split cells into ViT patches as `patchify` does, without normalising them."""
        count, frames = cells.shape[:2]
        split = cells.view(count, frames, 3, self.merge, self.patch, self.merge, self.patch)
        by_patch = split.permute(0, 3, 5, 2, 1, 4, 6)
        return by_patch.reshape(count * self.merge**2, 3 * frames * self.patch**2)

    def _pixels(self, slots: Sequence[Slot]) -> Tensor:
        """The normalised patches of all kept cells, in the network's dtype."""
        cells = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        return self.patchify(cells).to(self.kv.dtype)

    def forward(
        self, tokens: Tokens, cells: CellFeatures, cache: Any, mask: Tensor, read: Tensor
    ) -> Tensor:
        """Run the text model over one sequence; see `VisionLanguageModel.forward`."""
        device, visual = self.kv.device, tokens.visual.to(self.kv.device)
        embeddings = self._embed(tokens.ids.to(device))
        embeddings[visual] = cells.embeddings
        hidden = self.text(
            inputs_embeds=embeddings[None],
            position_ids=self._position_ids(tokens.positions.to(device)),
            attention_mask=mask[None, None].to(device),
            past_key_values=cache,
            **self._extra_text_inputs(visual, cells),
        ).last_hidden_state
        logits: Tensor = self.network.lm_head(hidden[0, read.to(device)])
        return logits.float()

    def forward_packed(
        self, tokens: Tokens, cells: CellFeatures, attend: AttentionFunction, read: Tensor
    ) -> Tensor:
        """Run the text model over many sequences; see `VisionLanguageModel.forward_packed`."""
        visual = tokens.visual.nonzero()[:, 0].to(self.kv.device)
        embeddings = self._embed(tokens.ids.to(self.kv.device))
        embeddings[visual] = cells.embeddings
        rotary = self._rotary(embeddings, tokens.positions.to(self.kv.device))
        deepstack = visual, cells.deepstack
        hidden = self._packed(embeddings, rotary, attend, read.to(self.kv.device), deepstack)
        logits: Tensor = self.network.lm_head(hidden)
        return logits.float()

    def _embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [n, d]."""
        embeddings: Tensor = self.text.embed_tokens(ids)
        return embeddings

    def _rotary(self, like: Tensor, positions: Tensor) -> RotaryTable:
        """The rotary table of positions [3, n], in the dtype of `like`."""
        cos, sin = self.text.rotary_emb(like, self._position_ids(positions))
        return cos[0, :, None], signed_sines(sin)[0, :, None]

    def synchronize(self) -> None:
        """Wait until the device has finished all submitted work."""
        if self.kv.device.type == "cuda":
            torch.cuda.synchronize(self.kv.device)

    def rotation(self, offsets: Tensor) -> Rotation:
        """The rotation that moves each token by its offset in positions (int64 [tokens])."""
        rotary = self.text.rotary_emb
        like = torch.empty(0, dtype=torch.float32, device=self.kv.device)
        cos, sin = rotary(like, self._position_ids(offsets.to(self.kv.device).expand(3, -1)))
        # The table includes the attention scaling, which cached keys have already.
        return cos[0] / rotary.attention_scaling, sin[0] / rotary.attention_scaling

    def rotate_keys(self, keys: Tensor, rotation: Rotation) -> Tensor:
        """Cached keys [..., tokens, head_dim], moved by the offsets of `rotation`.

        Rotations add up: R(p + offset) k = R(offset) R(p) k, the same on all three axes.
        """
        cos, sin = rotation
        keys32 = keys.float()
        first, second = keys32.chunk(2, dim=-1)
        moved = keys32 * cos + torch.cat([-second, first], dim=-1) * sin
        return moved.to(keys.dtype)

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without special tokens."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()

    def is_eos(self, token: int) -> bool:
        """Whether `token` ends an answer."""
        return token in self._eos_tokens

    @property
    def eos_token_id(self) -> int:
        """The token that ends an answer."""
        return self._eos_tokens[0]

    @property
    def unk_token_id(self) -> int | None:
        """The tokenizer's id for unknown text, if it has one."""
        unknown: int | None = self.tokenizer.unk_token_id
        return unknown
