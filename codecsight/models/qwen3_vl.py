"""Qwen3-VL behind the adapter: transformers' own modules, called with our own tables."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import rotate_half
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from codecsight.change.grid import GridSpec
from codecsight.change.slot import Slot
from codecsight.models.base import CellFeatures, KVShape
from codecsight.models.errors import ModelError
from codecsight.models.prompt import PromptLayout, Tokens

# These scale the rotation by the length of the sequence, so that cached keys would go stale.
_LENGTH_DEPENDENT_ROPE = frozenset({"dynamic", "longrope"})


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
        if slot.kept_count == 0:
            return self.no_cells()
        rows, cols = slot.kept.shape
        pixels = self.patchify(torch.tensor(slot.patches))
        table = self._table(rows, cols)
        kept = torch.from_numpy(np.repeat(slot.kept.reshape(-1), self.merge**2))
        kept = kept.to(self.kv.device)
        seen = self.network.model.visual(
            pixels.to(self.kv.dtype),
            grid_thw=None,
            position_ids=table[0][kept],
            interp_indices=table[1][kept],
            interp_weights=table[2][kept],
            cu_seqlens=torch.tensor([0, len(pixels)], dtype=torch.int32, device=pixels.device),
        )
        layers = torch.stack([seen.pooler_output, *seen.deepstack_features])
        return CellFeatures(embeddings=layers[0], deepstack=layers[1:])

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
        text, visual = self.network.model.language_model, tokens.visual.to(device)
        embeddings = text.embed_tokens(tokens.ids.to(device))
        embeddings[visual] = cells.embeddings
        hidden = text(
            inputs_embeds=embeddings[None],
            position_ids=tokens.positions[:, None].to(device),
            attention_mask=mask[None, None].to(device),
            past_key_values=cache,
            visual_pos_masks=visual[None],
            deepstack_visual_embeds=list(cells.deepstack) if len(cells) else None,
        ).last_hidden_state
        logits: Tensor = self.network.lm_head(hidden[0, read.to(device)])
        return logits.float()

    def wait(self) -> None:
        """Until everything asked of the device is done."""
        if self.kv.device.type == "cuda":
            torch.cuda.synchronize(self.kv.device)

    def rotate_keys(self, keys: Tensor, by: int) -> Tensor:
        """Cached keys [..., tokens, head_dim] as they would be `by` positions later.

        Rotations add up: R(p + by) k = R(by) R(p) k, the same on all three axes.
        """
        rotary = self.network.model.language_model.rotary_emb
        shift = torch.full((3, 1, 1), by, device=self.kv.device)
        cos, sin = (table[0] for table in rotary(keys.float(), shift))
        turned = keys.float() * cos + rotate_half(keys.float()) * sin
        later: Tensor = (turned / rotary.attention_scaling).to(keys.dtype)
        return later

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
