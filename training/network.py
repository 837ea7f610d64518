"""Batched training of the standard model, with transformers' own modules.

Two attention functions are registered with transformers: one that computes the attention of many
slots of equal size in one call, and one in float32 for the language model.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, Qwen3VLForConditionalGeneration
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from training.data.packing import IGNORED, Batch
from training.data.targets import CHANNELS
from training.recipe import CELL, FRAMES, MERGE, PATCH, model_config
from training.tokenizer import SPECIAL_TOKENS

_SLOT_ATTENTION, _FLOAT32_ATTENTION = "per-slot-attention", "float32-attention"


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float, **options: Any) -> Tensor:
    """Scaled dot-product attention; on CPUs in float32, whose backward pass is 50% faster there."""
    if query.device.type != "cpu":
        return nn.functional.scaled_dot_product_attention(query, key, value, scale=scale, **options)
    with torch.autocast("cpu", enabled=False):
        out = nn.functional.scaled_dot_product_attention(
            query.float(), key.float(), value.float(), scale=scale, **options
        )
    return out.to(query.dtype)


def _attend_within_slots(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, **options: Any
) -> tuple[Tensor, None]:
    """Attention of the ViT within each slot, for slots of equal size, in one call.

    Transformers' own implementation loops over the slots; the result is the same. Takes [1, heads,
    slots * n, d], gives [1, slots * n, heads, d].
    """
    heads, _, width = query.shape[1:]
    query, key, value = (
        each.view(heads, -1, options["slot_length"], width).transpose(0, 1)
        for each in (query[0], key[0], value[0])
    )
    out = _attention(query, key, value, options["scaling"])
    return out.transpose(1, 2).flatten(0, 1)[None], None


def _attend(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of the language model, with grouped keys and values.

    Takes queries [n, heads, length, d], keys and values with fewer heads, and the mask of allowed
    pairs (None: causal). Gives [n, length, heads, d].
    """
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
    masking = {"is_causal": True} if mask is None else {"attn_mask": mask}
    return _attention(query, key, value, options["scaling"], **masking).transpose(1, 2), None


AttentionInterface.register(_SLOT_ATTENTION, _attend_within_slots)
AttentionInterface.register(_FLOAT32_ATTENTION, _attend)


class Learner(nn.Module):
    """The model with an auxiliary head for the dense targets. The head is not exported."""

    def __init__(self, network: Qwen3VLForConditionalGeneration) -> None:
        super().__init__()
        self.network = network
        self.dense_head = nn.Linear(network.config.text_config.hidden_size, CHANNELS)
        network.model.visual.config._attn_implementation = _SLOT_ATTENTION
        network.model.language_model.config._attn_implementation = _FLOAT32_ATTENTION

    @staticmethod
    def from_scratch(tokenizer: Any, seed: int) -> "Learner":
        """A model with random weights, drawn from the seed."""
        torch.manual_seed(seed)
        tokens = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL_TOKENS}
        config = model_config(tokens, len(tokenizer))
        return Learner(
            Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
        )

    @staticmethod
    def load(folder: Path) -> "Learner":
        """The model of a checkpoint folder."""
        network = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        return Learner(network)

    @property
    def device(self) -> torch.device:
        """Device of the weights; batches must be on the same device."""
        return self.dense_head.weight.device

    def encode_images(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Encode all slots: cell embeddings and deepstack features, each [cells, d]."""
        visual = self.network.model.visual
        grid = torch.tensor([[1, batch.grid[0] * MERGE, batch.grid[1] * MERGE]])
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid,
            visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=MERGE,
        )
        slots = len(batch.ids) * batch.slots
        patches = patchify(batch.cells)
        encoded = visual(
            patches,
            grid_thw=None,
            position_ids=get_vision_position_ids(grid, MERGE).to(self.device).repeat(slots, 1),
            interp_indices=indices.to(self.device).repeat(slots, 1),
            interp_weights=weights.to(self.device).repeat(slots, 1),
            cu_seqlens=torch.tensor([0, len(patches)], dtype=torch.int32, device=self.device),
            slot_length=len(indices),
        )
        return encoded.pooler_output, list(encoded.deepstack_features)

    def dense_loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy of the dense targets. Positives are rare and have weight 3."""
        logits = self.dense_head(embeddings.float())
        weight = torch.full((CHANNELS,), 3.0, device=self.device)
        return nn.functional.binary_cross_entropy_with_logits(
            logits, batch.dense.view(-1, CHANNELS), pos_weight=weight
        )

    def answer_logits(
        self, embeddings: Tensor, deepstack: list[Tensor], batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Logits at the labelled positions [labels, vocabulary], and the true tokens [labels]."""
        text = self.network.model.language_model
        visual = batch.ids == self.network.config.video_token_id
        inputs = text.embed_tokens(batch.ids)
        inputs = inputs.masked_scatter(visual[..., None], embeddings.to(inputs.dtype))
        hidden = text(
            inputs_embeds=inputs,
            position_ids=batch.positions,
            attention_mask=batch.attention_mask(),
            visual_pos_masks=visual,
            deepstack_visual_embeds=deepstack,
            use_cache=False,
        ).last_hidden_state
        labelled = batch.labels != IGNORED
        return self.network.lm_head(hidden[labelled]).float(), batch.labels[labelled]


def patchify(cells: Tensor) -> Tensor:
    """Convert cells uint8 [n, frames, 3, cell, cell] to the ViT's patches, scaled to -1..1."""
    split = (cells.float() / 127.5 - 1).view(-1, FRAMES, 3, MERGE, PATCH, MERGE, PATCH)
    return split.permute(0, 3, 5, 2, 1, 4, 6).reshape(-1, 3 * FRAMES * PATCH**2)


assert CELL == MERGE * PATCH  # noqa: S101 - `patchify` depends on it
