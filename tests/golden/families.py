"""Every family as a small random network, and what transformers itself makes of a window.

A reference spells the whole prompt, encodes whole pictures and numbers positions as transformers
does. Pruning is left for last: dropped patches are hidden as keys from the ViT's attention, and
dropped cells are taken out of the sequence, while all else stays at its place.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen3VLMoeConfig
from transformers.vision_utils import get_vision_window_index

from codecsight.change.grid import PatchGrid
from codecsight.models.adapter import Adapter
from codecsight.models.qwen2_5_vl import Qwen25VL
from codecsight.models.qwen3_vl import Qwen3VLMoe
from codecsight.models.tiny import CHAT_TEMPLATE, SPECIAL_TOKENS, byte_tokenizer
from tests.golden.twin import Look, NaiveTwin, hidden_keys, newest

TEXT = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
}
MROPE = {"rope_type": "default", "rope_theta": 10000.0}


class Reference:
    """One family. `grid` is rows and columns of its pictures."""

    adapter: ClassVar[type[Adapter]]
    grid: ClassVar[tuple[int, int]] = (3, 4)
    cell: ClassVar[str]
    special: ClassVar[Sequence[str]]
    template: ClassVar[str]
    end: ClassVar[str] = "<|im_end|>"

    def __init__(self) -> None:
        tokenizer = byte_tokenizer(self.special, self.template, self.end)
        config = self.config(len(tokenizer), tokenizer.convert_tokens_to_ids)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            network = self.adapter.network_class._from_config(config, attn_implementation="sdpa")
            with torch.no_grad():
                for weight in network.parameters():
                    weight += 0.1 * torch.randn_like(weight)  # some are born as zeros
        self.network = network
        self.model = self.adapter(network, tokenizer, name=self.adapter.family)

    @property
    def patches(self) -> PatchGrid:
        rows, cols = self.grid
        return PatchGrid(self.model.grid_spec(rate=2.0, max_cells=rows * cols), rows, cols)

    # What differs

    def config(self, words: int, token: Any) -> Any:
        raise NotImplementedError

    def prompt(self, looks: Sequence[Look], question: str) -> str:
        raise NotImplementedError

    def inputs(self, ids: Tensor, looks: Sequence[Look]) -> dict[str, Any]:
        """What transformers' forward wants besides `ids`."""
        raise NotImplementedError

    def positions(self, ids: Tensor, _looks: Sequence[Look]) -> Tensor:
        return torch.arange(ids.shape[1])[None]

    def see(self, look: Look) -> Tensor:
        """Embeddings [cells, d] of all cells, the dropped patches hidden."""
        raise NotImplementedError

    # What it comes to

    def ids(self, looks: Sequence[Look], question: str) -> Tensor:
        text = self.prompt(looks, question)
        return torch.tensor([self.model.tokenizer(text, add_special_tokens=False)["input_ids"]])

    @torch.inference_mode()
    def plain(self, looks: Sequence[Look], question: str) -> Tensor:
        """Logits [vocab] after the question: one call of transformers' forward, from pixels."""
        ids = self.ids(looks, question)
        return self.network(input_ids=ids, **self.inputs(ids, looks)).logits[0, -1]

    @torch.inference_mode()
    def pruned(self, looks: Sequence[Look], question: str) -> Tensor:
        """The same over the kept tokens alone."""
        return self._over(looks, question, [self.see(look) for look in looks])

    @torch.inference_mode()
    def canvas(self, looks: Sequence[Look], question: str) -> Tensor:
        """About the last slot alone, made whole from what was last seen of each cell."""
        seen = newest([look.kept for look in looks], [[self.see(look)] for look in looks])
        whole = replace(looks[-1], kept=np.ones_like(looks[-1].kept))
        return self._over([whole], question, seen)

    def _over(self, looks: Sequence[Look], question: str, seen: Sequence[Tensor]) -> Tensor:
        ids = self.ids(looks, question)
        visual = ids[0] == self.model.tokenizer.convert_tokens_to_ids(self.cell)
        embeddings = self.network.get_input_embeddings()(ids)
        embeddings[0, visual] = torch.cat(list(seen))
        stays = ~visual
        stays[visual] = torch.from_numpy(np.concatenate([look.kept.ravel() for look in looks]))
        hidden = self.model.text(
            inputs_embeds=embeddings[:, stays],
            position_ids=self.positions(ids, looks)[..., stays],
        ).last_hidden_state
        return self.network.lm_head(hidden[0, -1])

    def scaled(self, looks: Sequence[Look]) -> Tensor:
        """Pixels as the family's processor scales them: [looks, frames, 3, height, width]."""
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in self.model.pixel_scale)
        frames = torch.from_numpy(np.stack([look.frames for look in looks]))
        return (frames.float() / 255 - mean) / std


class Qwen(Reference):
    """Both kinds spell slots alike and number positions by `get_rope_index`."""

    cell = "<|video_pad|>"
    special = SPECIAL_TOKENS
    template = CHAT_TEMPLATE

    def prompt(self, looks: Sequence[Look], question: str) -> str:
        text = "<|im_start|>user\n"
        for look in looks:
            stamp = sum(look.times) / len(look.times)
            cells = "<|video_pad|>" * look.kept.size
            text += f"<{stamp:.1f} seconds><|vision_start|>{cells}<|vision_end|>"
        return f"{text}{question}<|im_end|>\n<|im_start|>assistant\n"

    def thw(self, looks: Sequence[Look]) -> Tensor:
        rows, cols = self.grid
        return torch.tensor([[1, 2 * rows, 2 * cols]] * len(looks))

    def types(self, ids: Tensor) -> Tensor:
        return (ids == self.network.config.video_token_id).int() * 2

    def pixels(self, looks: Sequence[Look]) -> Tensor:
        """As transformers' Qwen video processors order them."""
        (rows, cols), patch = self.grid, self.model.patch
        blocks = self.scaled(looks).view(len(looks), 2, 3, rows, 2, patch, cols, 2, patch)
        return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 3 * 2 * patch**2)

    def positions(self, ids: Tensor, looks: Sequence[Look]) -> Tensor:
        types, grids = self.types(ids), self.thw(looks)
        found, _ = self.network.model.get_rope_index(ids, types, video_grid_thw=grids)
        return found


class Qwen25(Qwen):
    adapter = Qwen25VL
    grid = (3, 5)

    def config(self, words: int, token: Any) -> Qwen2_5_VLConfig:
        return Qwen2_5_VLConfig(
            vision_config={
                "depth": 3,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_heads": 2,
                "patch_size": 8,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
                "out_hidden_size": 48,
                "window_size": 32,
                "fullatt_block_indexes": [1],
            },
            text_config={
                **TEXT,
                "vocab_size": words,
                "rope_parameters": {**MROPE, "mrope_section": [2, 2, 2]},
            },
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
            vision_start_token_id=token("<|vision_start|>"),
            vision_end_token_id=token("<|vision_end|>"),
        )

    def inputs(self, ids: Tensor, looks: Sequence[Look]) -> dict[str, Any]:
        return {
            "pixel_values_videos": self.pixels(looks),
            "video_grid_thw": self.thw(looks),
            "mm_token_type_ids": self.types(ids),
        }

    def see(self, look: Look) -> Tensor:
        grid = self.thw([look])
        order, _ = get_vision_window_index(grid, 2, 32, 8)
        keys = torch.from_numpy(np.repeat(look.kept.ravel()[order], 4))
        with hidden_keys(self.network.model.visual, keys):
            return self.network.model.visual(self.pixels([look]), grid_thw=grid).pooler_output


class Qwen3Moe(Qwen):
    adapter = Qwen3VLMoe

    def config(self, words: int, token: Any) -> Qwen3VLMoeConfig:
        return Qwen3VLMoeConfig(
            vision_config={
                "depth": 3,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_heads": 2,
                "patch_size": 8,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
                "out_hidden_size": 48,
                "num_position_embeddings": 64,
                "deepstack_visual_indexes": [0, 1],
            },
            text_config={
                **TEXT,
                "vocab_size": words,
                "head_dim": 16,
                "num_experts": 4,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 24,
                "mlp_only_layers": [1],
                "rope_parameters": {
                    **MROPE,
                    "mrope_section": [4, 2, 2],
                    "mrope_interleaved": True,
                },
            },
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
            vision_start_token_id=token("<|vision_start|>"),
            vision_end_token_id=token("<|vision_end|>"),
        )

    def plain(self, looks: Sequence[Look], question: str) -> Tensor:
        return NaiveTwin(self.model).logits(looks, question)

    def pruned(self, looks: Sequence[Look], question: str) -> Tensor:
        """By masks: the deepstack is added in the text model's own layers."""
        return NaiveTwin(self.model).logits(looks, question)

    def canvas(self, looks: Sequence[Look], question: str) -> Tensor:
        return NaiveTwin(self.model).logits(looks, question, canvas=True, last=1)


REFERENCES: Sequence[type[Reference]] = (Qwen3Moe, Qwen25)
