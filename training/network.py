"""The standard model, driven in batches: the library's own modules, many slots at a time."""

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

_SLOTS, _EXACT = "slots-side-by-side", "in-full-precision"


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float, **more: Any) -> Tensor:
    """On CPUs in float32 whatever surrounds it: its backward pass is the quicker so by half."""
    if query.device.type != "cpu":
        return nn.functional.scaled_dot_product_attention(query, key, value, scale=scale, **more)
    with torch.autocast("cpu", enabled=False):
        out = nn.functional.scaled_dot_product_attention(
            query.float(), key.float(), value.float(), scale=scale, **more
        )
    return out.to(query.dtype)


def _attend_within_slots(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, **more: Any
) -> tuple[Tensor, None]:
    """The ViT's attention for slots of equal size, in one call. The library's own loops over them;
    the result is the same. Takes [1, heads, slots * n, d], gives [1, slots * n, heads, d].
    """
    heads, _, width = query.shape[1:]
    query, key, value = (
        each.view(heads, -1, more["slot_length"], width).transpose(0, 1)
        for each in (query[0], key[0], value[0])
    )
    out = _attention(query, key, value, more["scaling"])
    return out.transpose(1, 2).flatten(0, 1)[None], None


def _attend(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """The language model's attention. Takes [n, heads, length, d], of keys and values fewer heads,
    and who may look at whom (None: at what is before); gives [n, length, heads, d].
    """
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
    seen = {"is_causal": True} if mask is None else {"attn_mask": mask}
    return _attention(query, key, value, more["scaling"], **seen).transpose(1, 2), None


AttentionInterface.register(_SLOTS, _attend_within_slots)
AttentionInterface.register(_EXACT, _attend)


class Learner(nn.Module):
    """The model and the head of the dense targets, which is thrown away after training."""

    def __init__(self, network: Qwen3VLForConditionalGeneration) -> None:
        super().__init__()
        self.network = network
        self.dense_head = nn.Linear(network.config.text_config.hidden_size, CHANNELS)
        network.model.visual.config._attn_implementation = _SLOTS
        network.model.language_model.config._attn_implementation = _EXACT

    @staticmethod
    def from_scratch(tokenizer: Any, seed: int) -> "Learner":
        """A model that knows nothing yet."""
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
        """Where its weights lie; batches must lie there, too."""
        return self.dense_head.weight.device

    def encode_images(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The ViT over all slots: cell embeddings and the deepstack's, each [cells, d]."""
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
        seen = visual(
            patches,
            grid_thw=None,
            position_ids=get_vision_position_ids(grid, MERGE).to(self.device).repeat(slots, 1),
            interp_indices=indices.to(self.device).repeat(slots, 1),
            interp_weights=weights.to(self.device).repeat(slots, 1),
            cu_seqlens=torch.tensor([0, len(patches)], dtype=torch.int32, device=self.device),
            slot_length=len(indices),
        )
        return seen.pooler_output, list(seen.deepstack_features)

    def dense_loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of what every cell is said to hold; finds are rare, so they weigh more."""
        said = self.dense_head(embeddings.float())
        weight = torch.full((CHANNELS,), 3.0, device=self.device)
        return nn.functional.binary_cross_entropy_with_logits(
            said, batch.dense.view(-1, CHANNELS), pos_weight=weight
        )

    def answer_logits(
        self, embeddings: Tensor, deepstack: list[Tensor], batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """The logits where an answer is due, [answers, vocabulary], and the true tokens."""
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
        due = batch.labels != IGNORED
        return self.network.lm_head(hidden[due]).float(), batch.labels[due]


def patchify(cells: Tensor) -> Tensor:
    """Cells uint8 [n, frames, 3, cell, cell] as the ViT's patches, scaled to -1..1."""
    split = (cells.float() / 127.5 - 1).view(-1, FRAMES, 3, MERGE, PATCH, MERGE, PATCH)
    return split.permute(0, 3, 5, 2, 1, 4, 6).reshape(-1, 3 * FRAMES * PATCH**2)


assert CELL == MERGE * PATCH  # noqa: S101 - the layout above rests on it
