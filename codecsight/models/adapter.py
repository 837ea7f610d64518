"""What all families share: a transformers network, called with our own tables.

A family's adapter says how its ViT sees cells (`_see`), how its prompt is worded, and where its
parts lie; everything about the text model is here.
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
from codecsight.models.base import Attend, CellFeatures, KVShape, Rotation
from codecsight.models.calibration import Calibration
from codecsight.models.errors import ModelError
from codecsight.models.packed_text import PackedText
from codecsight.models.packing import Turn, signed
from codecsight.models.prompt import PromptFormat, PromptLayout, Tokens
from codecsight.models.vision_kv_cache import VisionKVCache

Which = NDArray[np.intp]
"""Indices of some of a slot's kept cells."""

PixelScale = tuple[Sequence[float], Sequence[float]]
"""Mean and deviation per RGB channel, for pixels scaled to 0..1."""


class Adapter(ABC):
    """A `VisionLanguageModel` around a `network` of transformers.

    `scale` is that of the checkpoint's own processor. Raises ModelError for a network whose windows
    could not slide.
    """

    family: ClassVar[str]
    """transformers' model_type."""
    network_class: ClassVar[Any]
    pixel_scale: ClassVar[PixelScale] = ((0.5,) * 3, (0.5,) * 3)
    """What transformers' own processor of the family does where a checkpoint says nothing."""

    patch: int
    merge: int
    """Side of a cell in patches."""
    frames: int

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: Any,
        *,
        name: str,
        scale: PixelScale | None = None,
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
            for each in scale or self.pixel_scale
        )
        self._ends = end_tokens(network, tokenizer)
        self._packed = PackedText(self.text)

    # What a family says of itself

    @property
    def text(self) -> Any:
        """The network's text model."""
        return self.network.model.language_model

    @abstractmethod
    def _configure(self, config: Any) -> None:
        """Set `patch`, `merge` and `frames`. Raises ModelError for what this cannot serve."""

    @abstractmethod
    def _prompt_format(self) -> PromptFormat:
        """How the family writes a stream."""

    @abstractmethod
    def _see(self, slots: Sequence[Slot]) -> list[Tensor]:
        """The ViT over the kept cells of slots that each have some, none seeing another:
        embeddings, then the levels of the deepstack, each [all cells, d].
        """

    def _see_packed(
        self, slots: Sequence[Slot], own: Sequence[Which], _memories: Sequence[VisionKVCache] | None
    ) -> list[Tensor]:
        """The same in what way is fastest, for each slot's `own` cells (indices among the kept):
        each [all own cells, d].
        """
        starts = np.cumsum([0, *(slot.kept_count for slot in slots)])
        wanted = [start + one for start, one in zip(starts[:-1], own, strict=True)]
        index = torch.from_numpy(np.concatenate(wanted)).to(self.kv.device)
        return [layer[index] for layer in self._see(slots)]

    @property
    def _levels(self) -> int:
        """Levels of the deepstack."""
        return 0

    def _position_ids(self, positions: Tensor) -> Tensor:
        """Positions [3, n] in the form that the text model reads."""
        return positions[:1]

    def _beside(self, _visual: Tensor, _cells: CellFeatures) -> dict[str, Any]:
        """What the text model is told of the cells besides their embeddings."""
        return {}

    # What it comes to

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """What this model asks of the edge, at `rate` sampled frames per second."""
        return GridSpec(cell=self.cell, frames=self.frames, rate=rate, max_cells=max_cells)

    def new_vision_kv_cache(self, _rows: int, _cols: int) -> VisionKVCache | None:
        """Where a ViT remembers; see `VisionLanguageModel.new_vision_kv_cache`."""
        return None

    def encode_cells(self, slot: Slot, _memory: VisionKVCache | None = None) -> CellFeatures:
        """Run the ViT over the slot's kept cells alone, as transformers does."""
        if not slot.kept_count:
            return self.no_cells()
        layers = torch.stack(self._see([slot]))
        return CellFeatures(embeddings=layers[0], deepstack=layers[1:])

    def encode_slots(
        self,
        slots: Sequence[Slot],
        own: Sequence[Which] | None = None,
        caches: Sequence[VisionKVCache] | None = None,
    ) -> list[CellFeatures]:
        """The ViT over the kept cells of many slots; see `VisionLanguageModel.encode_slots`."""
        wanted = [np.arange(slot.kept_count) for slot in slots] if own is None else own
        seen = [index for index, slot in enumerate(slots) if slot.kept_count]
        if not seen:
            return [self.no_cells() for _ in slots]
        known = None if caches is None else [caches[index] for index in seen]
        found = self._see_packed([slots[i] for i in seen], [wanted[i] for i in seen], known)
        # Copies: a view would keep the whole pack alive as long as any of its streams.
        parts = torch.split(torch.stack(found), [len(one) for one in wanted], dim=1)
        return [CellFeatures(part[0].clone(), part[1:].clone()) for part in parts]

    def masked_pairs(self, _kept: NDArray[np.bool_]) -> int:
        """How many pairs of cells windows keep apart; see `VisionLanguageModel.masked_pairs`."""
        return 0

    def no_cells(self) -> CellFeatures:
        """The features of zero cells."""
        return self._no_cells

    @cached_property
    def _no_cells(self) -> CellFeatures:
        width = self.text.config.hidden_size
        empty = torch.empty(0, width, dtype=self.kv.dtype, device=self.kv.device)
        return CellFeatures(empty, empty.expand(self._levels, 0, width))

    def patchify(self, patches: Tensor) -> Tensor:
        """Cut uint8 cells [kept, frames, 3, cell, cell] into the ViT's patches, normalised:
        [kept * merge^2, 3 * frames * patch * patch], the patches of a cell side by side.
        """
        return self._cut((patches.to(self.kv.device).float() / 255 - self._mean) / self._std)

    def _cut(self, cells: Tensor) -> Tensor:
        """The same, with numbers as they are."""
        count, frames = cells.shape[:2]
        split = cells.view(count, frames, 3, self.merge, self.patch, self.merge, self.patch)
        by_patch = split.permute(0, 3, 5, 2, 1, 4, 6)
        return by_patch.reshape(count * self.merge**2, 3 * frames * self.patch**2)

    def _pixels(self, slots: Sequence[Slot]) -> Tensor:
        """The patches of all kept cells, in the network's own numbers."""
        cells = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        return self.patchify(cells).to(self.kv.dtype)

    def forward(
        self, tokens: Tokens, cells: CellFeatures, cache: Any, mask: Tensor, read: Tensor
    ) -> Tensor:
        """Run the text model over `tokens`; see `VisionLanguageModel.forward`."""
        device = self.kv.device
        return self._forward(
            tokens,
            cells,
            read,
            attention_mask=mask[None, None].to(device),
            past_key_values=cache,
        )

    def forward_packed(
        self, tokens: Tokens, cells: CellFeatures, attend: Attend, read: Tensor
    ) -> Tensor:
        """Run the text model over many sequences; see `VisionLanguageModel.forward_packed`."""
        visual = tokens.visual.nonzero()[:, 0].to(self.kv.device)
        embeddings = self._embed(tokens.ids.to(self.kv.device))
        embeddings[visual] = cells.embeddings
        turn = self._turn(embeddings, tokens.positions.to(self.kv.device))
        deepstack = visual, cells.deepstack
        hidden = self._packed(embeddings, turn, attend, read.to(self.kv.device), deepstack)
        logits: Tensor = self.network.lm_head(hidden)
        return logits.float()

    def _forward(self, tokens: Tokens, cells: CellFeatures, read: Tensor, **how: Any) -> Tensor:
        device, visual = self.kv.device, tokens.visual.to(self.kv.device)
        embeddings = self._embed(tokens.ids.to(device))
        embeddings[visual] = cells.embeddings
        hidden = self.text(
            inputs_embeds=embeddings[None],
            position_ids=self._position_ids(tokens.positions.to(device)),
            **self._beside(visual, cells),
            **how,
        ).last_hidden_state
        logits: Tensor = self.network.lm_head(hidden[0, read.to(device)])
        return logits.float()

    def _embed(self, ids: Tensor) -> Tensor:
        """What the words of a sequence are to the text model: [n, d]."""
        embeddings: Tensor = self.text.embed_tokens(ids)
        return embeddings

    def _turn(self, like: Tensor, positions: Tensor) -> Turn:
        """Where tokens stand whose positions are [3, n], in numbers `like` these."""
        cos, sin = self.text.rotary_emb(like, self._position_ids(positions))
        return cos[0, :, None], signed(sin)[0, :, None]

    def synchronize(self) -> None:
        """Until everything asked of the device is done."""
        if self.kv.device.type == "cuda":
            torch.cuda.synchronize(self.kv.device)

    def rotation(self, by: Tensor) -> Rotation:
        """Cosines and sines that move tokens by so many positions each (int64 [tokens])."""
        rotary = self.text.rotary_emb
        like = torch.empty(0, dtype=torch.float32, device=self.kv.device)
        cos, sin = rotary(like, self._position_ids(by.to(self.kv.device).expand(3, -1)))
        return cos[0] / rotary.attention_scaling, sin[0] / rotary.attention_scaling

    def rotate_keys(self, keys: Tensor, rotation: Rotation) -> Tensor:
        """Cached keys [..., tokens, head_dim] as they would be so many positions later.

        Rotations add up: R(p + by) k = R(by) R(p) k, the same on all three axes.
        """
        cos, sin = rotation
        keys32 = keys.float()
        first, second = keys32.chunk(2, dim=-1)
        later = keys32 * cos + torch.cat([-second, first], dim=-1) * sin
        return later.to(keys.dtype)

    def detokenize(self, ids: Sequence[int]) -> str:
        """The words of `ids`, without special tokens."""
        words: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return words.strip()

    def is_eos(self, token: int) -> bool:
        """Whether `token` ends an answer."""
        return token in self._ends

    @property
    def eos_token_id(self) -> int:
        """The token that ends an answer."""
        return self._ends[0]

    @property
    def unk_token_id(self) -> int | None:
        """The tokenizer's id for what it cannot spell, if it has one."""
        unknown: int | None = self.tokenizer.unk_token_id
        return unknown


_TEXT_MODELS = frozenset(
    {
        "llama",
        "qwen2",
        "qwen2_5_vl_text",
        "qwen3",
        "qwen3_moe",
        "qwen3_vl_text",
        "qwen3_vl_moe_text",
    }
)
"""Those built as `PackedText` takes them to be."""


def check_text_model(name: str, text: Any, kv: KVShape) -> None:
    """Refuse a text model that is built otherwise, whose cached keys can't be turned, or whose
    layers don't see all: what these families are published with passes. Raises ModelError.
    """
    if text.config.model_type not in _TEXT_MODELS:
        known = ", ".join(sorted(_TEXT_MODELS))
        raise ModelError(
            f"{name}: its text model is a {text.config.model_type!r}; CodecSight runs {known}"
        )
    rope = text.config.rope_parameters["rope_type"]
    if rope == "longrope":
        raise ModelError(f"{name}: rotary embedding of type {rope!r} cannot be windowed")
    if rope == "dynamic":
        # It stretches the angles where a sequence is longer than the model was trained for. Ours
        # never is: positions grow, but all within a window stand close together.
        text.rotary_emb.rope_type = "default"
    turned = 2 * text.rotary_emb.inv_freq.numel()
    if turned != kv.head_dim:
        raise ModelError(f"{name}: turns {turned} of {kv.head_dim} numbers of a key only")
    layers = set(getattr(text.config, "layer_types", None) or ["full_attention"])
    if other := layers - {"full_attention"}:
        raise ModelError(f"{name}: has layers of {', '.join(sorted(other))}; all must see all")


def end_tokens(network: Any, tokenizer: Any) -> tuple[int, ...]:
    """Every token that ends an answer, the chat template's own (the tokenizer's eos) first."""
    declared = network.generation_config.eos_token_id
    listed = declared if isinstance(declared, list) else [declared]
    ends = [token for token in (tokenizer.eos_token_id, *listed) if token is not None]
    if not ends:
        raise ModelError(f"{tokenizer.name_or_path}: no token ends an answer (eos_token is unset)")
    return tuple(dict.fromkeys(ends))
