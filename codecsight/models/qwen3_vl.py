"""Qwen3-VL behind the adapter: transformers' own modules, called with our own tables."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import rotate_half
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from codecsight.change.grid import GridSpec
from codecsight.change.slot import Slot
from codecsight.models.base import Attend, CellFeatures, KVShape, Rotation
from codecsight.models.errors import ModelError
from codecsight.models.prompt import PromptLayout, Tokens

# These scale the rotation by the length of the sequence, so that cached keys would go stale.
_LENGTH_DEPENDENT_ROPE = frozenset({"dynamic", "longrope"})


PACKED = "codecsight-packed"
"""The name under which transformers finds the attention of `forward_packed`."""


def attend_packed(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **more: Any
) -> tuple[Tensor, None]:
    """transformers' form of attention ([1, heads, tokens, d] to [1, tokens, heads, d]) around the
    caller's own.
    """
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    return more["attend"](module.layer_idx, query, key, value)[None], None


AttentionInterface.register(PACKED, attend_packed)


class Qwen3VL:
    """The adapter (see `VisionLanguageModel`) around a `Qwen3VLForConditionalGeneration`.

    `mean` and `std` are those of the checkpoint's own video processor, per RGB channel, for
    pixels scaled to 0..1.
    """

    def __init__(
        self,
        network: Qwen3VLForConditionalGeneration,
        tokenizer: Any,
        *,
        name: str,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        config = network.config
        vision, text = config.vision_config, config.text_config
        rope = text.rope_parameters["rope_type"]
        if rope in _LENGTH_DEPENDENT_ROPE:
            raise ModelError(f"{name}: rotary embedding of type {rope!r} cannot be windowed")
        self.name = name
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.tokenizer = tokenizer
        self.layout = PromptLayout(
            tokenizer,
            config.vision_start_token_id,
            config.video_token_id,
            config.vision_end_token_id,
        )
        self.kv = KVShape(
            layers=text.num_hidden_layers,
            heads=text.num_key_value_heads,
            head_dim=text.head_dim,
            dtype=network.dtype,
            device=network.device,
        )
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.cell = self.patch * self.merge
        self.frames = vision.temporal_patch_size
        self._mean = torch.tensor(mean, device=self.kv.device).view(3, 1, 1)
        self._std = torch.tensor(std, device=self.kv.device).view(3, 1, 1)
        self._ends = end_tokens(network, tokenizer)

    def grid_spec(self, rate: float, max_cells: int) -> GridSpec:
        """What this model asks of the edge, at `rate` sampled frames per second."""
        return GridSpec(cell=self.cell, frames=self.frames, rate=rate, max_cells=max_cells)

    def encode_cells(self, slot: Slot) -> CellFeatures:
        """Run the ViT over the slot's kept cells alone, each at its true place."""
        return self.encode_slots([slot])[0]

    def encode_slots(self, slots: Sequence[Slot]) -> list[CellFeatures]:
        """The ViT over the kept cells of many slots, packed; slots do not see each other."""
        seen = [slot for slot in slots if slot.kept_count]
        if not seen:
            return [self.no_cells() for _ in slots]
        found = iter(self._encode(seen))
        return [next(found) if slot.kept_count else self.no_cells() for slot in slots]

    def _encode(self, slots: Sequence[Slot]) -> list[CellFeatures]:
        """As `encode_slots`, where no slot is empty."""
        pixels = self.patchify(torch.from_numpy(np.concatenate([slot.patches for slot in slots])))
        tables = [self._kept_table(slot) for slot in slots]
        positions, indices, weights = (torch.cat(part) for part in zip(*tables, strict=True))
        counts = [slot.kept_count for slot in slots]
        ends = torch.tensor([0, *np.cumsum(counts) * self.merge**2], dtype=torch.int32)
        seen = self.network.model.visual(
            pixels.to(self.kv.dtype),
            grid_thw=None,
            position_ids=positions,
            interp_indices=indices,
            interp_weights=weights,
            cu_seqlens=ends.to(pixels.device),
        )
        layers = torch.stack([seen.pooler_output, *seen.deepstack_features])
        # Copies: a view would keep the whole pack alive as long as any of its streams.
        parts = [part.clone() for part in torch.split(layers, counts, dim=1)]
        return [CellFeatures(embeddings=part[0], deepstack=part[1:]) for part in parts]

    def _kept_table(self, slot: Slot) -> tuple[Tensor, ...]:
        """The tables' rows for the patches of the kept cells."""
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        return tuple(part[kept.to(self.kv.device)] for part in self._table(*slot.kept.shape))

    def no_cells(self) -> CellFeatures:
        """The features of zero cells."""
        width = self.network.config.text_config.hidden_size
        levels = len(self.network.config.vision_config.deepstack_visual_indexes)
        empty = torch.empty(0, dtype=self.kv.dtype, device=self.kv.device)
        return CellFeatures(empty.view(0, width), empty.view(0, width).expand(levels, 0, width))

    def patchify(self, patches: Tensor) -> Tensor:
        """Cut uint8 cells [kept, frames, 3, cell, cell] into the ViT's patches, normalised:
        [kept * merge^2, 3 * frames * patch * patch], the patches of a cell side by side.
        """
        scaled = (patches.to(self.kv.device).float() / 255 - self._mean) / self._std
        cells, frames = patches.shape[:2]
        split = scaled.view(cells, frames, 3, self.merge, self.patch, self.merge, self.patch)
        by_patch = split.permute(0, 3, 5, 2, 1, 4, 6)
        return by_patch.reshape(cells * self.merge**2, 3 * frames * self.patch**2)

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
        config = self.network.model.language_model.config
        before = config._attn_implementation
        config._attn_implementation = PACKED
        try:
            return self._forward(tokens, cells, read, attend=attend, use_cache=False)
        finally:
            config._attn_implementation = before

    def _forward(self, tokens: Tokens, cells: CellFeatures, read: Tensor, **how: Any) -> Tensor:
        device = self.kv.device
        text, visual = self.network.model.language_model, tokens.visual.to(device)
        embeddings = text.embed_tokens(tokens.ids.to(device))
        embeddings[visual] = cells.embeddings
        hidden = text(
            inputs_embeds=embeddings[None],
            position_ids=tokens.positions[:, None].to(device),
            visual_pos_masks=visual[None],
            deepstack_visual_embeds=list(cells.deepstack) if len(cells) else None,
            **how,
        ).last_hidden_state
        logits: Tensor = self.network.lm_head(hidden[0, read.to(device)])
        return logits.float()

    def wait(self) -> None:
        """Until everything asked of the device is done."""
        if self.kv.device.type == "cuda":
            torch.cuda.synchronize(self.kv.device)

    def rotation(self, by: Tensor) -> Rotation:
        """Cosines and sines that move tokens by so many positions each (int64 [tokens])."""
        rotary = self.network.model.language_model.rotary_emb
        like = torch.empty(0, dtype=torch.float32, device=self.kv.device)
        cos, sin = rotary(like, by.to(self.kv.device).expand(3, 1, -1))
        return cos[0] / rotary.attention_scaling, sin[0] / rotary.attention_scaling

    def rotate_keys(self, keys: Tensor, rotation: Rotation) -> Tensor:
        """Cached keys [..., tokens, head_dim] as they would be so many positions later.

        Rotations add up: R(p + by) k = R(by) R(p) k, the same on all three axes.
        """
        cos, sin = rotation
        later: Tensor = keys.float() * cos + rotate_half(keys.float()) * sin
        return later.to(keys.dtype)

    def text_of(self, ids: Sequence[int]) -> str:
        """The words of `ids`, without special tokens."""
        words: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return words.strip()

    def is_end(self, token: int) -> bool:
        """Whether `token` ends an answer."""
        return token in self._ends

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return self._ends[0]

    @property
    def unknown(self) -> int | None:
        """The tokenizer's id for what it cannot spell, if it has one."""
        unknown: int | None = self.tokenizer.unk_token_id
        return unknown

    @lru_cache(maxsize=64)  # noqa: B019 - an adapter lives as long as its process
    def _table(self, rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
        """Per patch of a whole picture, cell by cell: where it stands (row, column), and which
        learned position embeddings are mixed for it, and how.
        """
        visual = self.network.model.visual
        grid = torch.tensor([[1, rows * self.merge, cols * self.merge]], device=self.kv.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid,
            visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=self.merge,
        )
        return get_vision_position_ids(grid, self.merge), indices, weights


def end_tokens(network: Qwen3VLForConditionalGeneration, tokenizer: Any) -> tuple[int, ...]:
    """Every token that ends an answer, the chat template's own (the tokenizer's eos) first."""
    declared = network.generation_config.eos_token_id
    listed = declared if isinstance(declared, list) else [declared]
    ends = [token for token in (tokenizer.eos_token_id, *listed) if token is not None]
    if not ends:
        raise ModelError(f"{tokenizer.name_or_path}: no token ends an answer (eos_token is unset)")
    return tuple(dict.fromkeys(ends))
