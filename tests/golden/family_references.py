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
from transformers import (
    InternVLConfig,
    LlavaOnevisionConfig,
    Qwen2_5_VLConfig,
    Qwen3VLMoeConfig,
    SmolVLMConfig,
)
from transformers.models.smolvlm.processing_smolvlm import (
    DEFAULT_MEDIA_OUTTRO,
    FRAME_TIMESTAMP_MESSAGE,
    _prompt_single_image,
)
from transformers.vision_utils import get_vision_window_index

from codecsight.core.grid import PatchGrid
from codecsight.models.adapter import Adapter
from codecsight.models.families.internvl import InternVL
from codecsight.models.families.llava_onevision import LlavaOnevision
from codecsight.models.families.qwen2_5_vl import Qwen25VL
from codecsight.models.families.qwen3_vl import Qwen3VLMoe
from codecsight.models.families.smolvlm import SmolVLM
from codecsight.models.tiny import CHAT_TEMPLATE, SPECIAL_TOKENS, byte_tokenizer
from tests.golden.transformers_reference import (
    TransformersReference,
    UnprunedSlot,
    hidden_keys,
    newest,
)

TEXT = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
}
VISION = {
    "depth": 3,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 48,
}
MROPE = {"rope_type": "default", "rope_theta": 10000.0}


class FamilyReference:
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

    def prompt(self, looks: Sequence[UnprunedSlot], question: str) -> str:
        raise NotImplementedError

    def inputs(self, ids: Tensor, looks: Sequence[UnprunedSlot]) -> dict[str, Any]:
        """What transformers' forward wants besides `ids`."""
        raise NotImplementedError

    def positions(self, ids: Tensor, _looks: Sequence[UnprunedSlot]) -> Tensor:
        return torch.arange(ids.shape[1])[None]

    def see(self, look: UnprunedSlot) -> Tensor:
        """Embeddings [cells, d] of all cells, the dropped patches hidden."""
        raise NotImplementedError

    def with_end(self, cells: Tensor) -> Tensor:
        """What of a slot is no word: `cells`, marks or embeddings, and what comes after them."""
        return cells

    # What it comes to

    def ids(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        text = self.prompt(looks, question)
        return torch.tensor([self.model.tokenizer(text, add_special_tokens=False)["input_ids"]])

    @torch.inference_mode()
    def plain(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        """Logits [vocab] after the question: one call of transformers' forward, from pixels."""
        ids = self.ids(looks, question)
        return self.network(input_ids=ids, **self.inputs(ids, looks)).logits[0, -1]

    @torch.inference_mode()
    def pruned(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        """The same over the kept tokens alone."""
        return self._over(looks, question, [self.see(look) for look in looks])

    @torch.inference_mode()
    def canvas(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        """About the last slot alone, made whole from what was last seen of each cell."""
        seen = newest([look.kept for look in looks], [[self.see(look)] for look in looks])
        whole = replace(looks[-1], kept=np.ones_like(looks[-1].kept))
        return self._over([whole], question, seen)

    def _over(self, looks: Sequence[UnprunedSlot], question: str, seen: Sequence[Tensor]) -> Tensor:
        ids = self.ids(looks, question)
        visual = ids[0] == self.model.tokenizer.convert_tokens_to_ids(self.cell)
        embeddings = self.network.get_input_embeddings()(ids)
        embeddings[0, visual] = torch.cat([self.with_end(each) for each in seen])
        stays = ~visual
        kept = torch.cat([self.with_end(torch.from_numpy(look.kept.ravel())) for look in looks])
        stays[visual] = kept
        hidden = self.model.text(
            inputs_embeds=embeddings[:, stays],
            position_ids=self.positions(ids, looks)[..., stays],
        ).last_hidden_state
        return self.network.lm_head(hidden[0, -1])

    def scaled(self, looks: Sequence[UnprunedSlot]) -> Tensor:
        """Pixels as the family's processor scales them: [looks, frames, 3, height, width]."""
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in self.model.pixel_scale)
        frames = torch.from_numpy(np.stack([look.frames for look in looks]))
        return (frames.float() / 255 - mean) / std


def marks(token: Any) -> dict[str, int]:
    """The ids of Qwen's marks, as its configurations name them."""
    return {
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
    }


class Qwen(FamilyReference):
    """Both kinds spell slots alike and number positions by `get_rope_index`."""

    cell = "<|video_pad|>"
    special = SPECIAL_TOKENS
    template = CHAT_TEMPLATE

    def prompt(self, looks: Sequence[UnprunedSlot], question: str) -> str:
        text = "<|im_start|>user\n"
        for look in looks:
            stamp = sum(look.times) / len(look.times)
            cells = "<|video_pad|>" * look.kept.size
            text += f"<{stamp:.1f} seconds><|vision_start|>{cells}<|vision_end|>"
        return f"{text}{question}<|im_end|>\n<|im_start|>assistant\n"

    def thw(self, looks: Sequence[UnprunedSlot]) -> Tensor:
        rows, cols = self.grid
        return torch.tensor([[1, 2 * rows, 2 * cols]] * len(looks))

    def types(self, ids: Tensor) -> Tensor:
        return (ids == self.network.config.video_token_id).int() * 2

    def pixels(self, looks: Sequence[UnprunedSlot]) -> Tensor:
        """As transformers' Qwen video processors order them."""
        (rows, cols), patch = self.grid, self.model.patch
        blocks = self.scaled(looks).view(len(looks), 2, 3, rows, 2, patch, cols, 2, patch)
        return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 3 * 2 * patch**2)

    def positions(self, ids: Tensor, looks: Sequence[UnprunedSlot]) -> Tensor:
        types, grids = self.types(ids), self.thw(looks)
        found, _ = self.network.model.get_rope_index(ids, types, video_grid_thw=grids)
        return found


class Qwen25(Qwen):
    adapter = Qwen25VL
    grid = (3, 5)

    def config(self, words: int, token: Any) -> Qwen2_5_VLConfig:
        return Qwen2_5_VLConfig(
            vision_config={
                **VISION,
                "window_size": 32,
                "fullatt_block_indexes": [1],
            },
            text_config={
                **TEXT,
                "vocab_size": words,
                "rope_parameters": {**MROPE, "mrope_section": [2, 2, 2]},
            },
            **marks(token),
        )

    def inputs(self, ids: Tensor, looks: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {
            "pixel_values_videos": self.pixels(looks),
            "video_grid_thw": self.thw(looks),
            "mm_token_type_ids": self.types(ids),
        }

    def see(self, look: UnprunedSlot) -> Tensor:
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
                **VISION,
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
            **marks(token),
        )

    def plain(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        return TransformersReference(self.model).logits(looks, question)

    def pruned(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        """By masks: the deepstack is added in the text model's own layers."""
        return TransformersReference(self.model).logits(looks, question)

    def canvas(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        return TransformersReference(self.model).logits(looks, question, canvas=True, last=1)


class InternVL3(FamilyReference):
    adapter = InternVL
    grid = (4, 4)
    cell = "<IMG_CONTEXT>"
    special = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    template = (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
        "{% for content in message['content'] %}"
        "{% if content['type'] == 'video' %}{{ '<video>\n' }}"
        "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}"
        "{{'<|im_end|>\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
    )

    def config(self, words: int, token: Any) -> InternVLConfig:
        return InternVLConfig(
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "image_size": 64,
                "patch_size": 8,
                "use_qk_norm": True,
                "norm_type": "rms_norm",
            },
            text_config={**TEXT, "model_type": "qwen2", "vocab_size": words},
            image_token_id=token("<IMG_CONTEXT>"),
            image_seq_length=16,
        )

    def prompt(self, looks: Sequence[UnprunedSlot], question: str) -> str:
        """As the family's processor spells a film, its frames told by time instead of number."""
        cells = "<img>" + "<IMG_CONTEXT>" * looks[0].kept.size + "</img>"
        frames = "\n".join(f"Frame at {look.times[0]:.1f} seconds: {cells}" for look in looks)
        return f"<|im_start|>user\n{frames}\n{question}<|im_end|>\n<|im_start|>assistant\n"

    def inputs(self, _ids: Tensor, looks: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values": self.scaled(looks)[:, 0]}

    def see(self, look: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_tower, patches_of(look, 2, heading=1)):
            return self.network.model.get_image_features(self.scaled([look])[:, 0]).pooler_output[0]


class SmallerInternVL3(InternVL3):
    """Pictures that are not of the size it was trained on."""

    grid = (3, 3)


class SmolVLM2(FamilyReference):
    adapter = SmolVLM
    grid = (3, 3)
    cell = "<image>"
    special = (
        "<|im_start|>",
        "<end_of_utterance>",
        "<fake_token_around_image>",
        "<global-img>",
        "<image>",
    )
    template = "no film is ever spelled by this"
    end = "<end_of_utterance>"

    def config(self, words: int, token: Any) -> SmolVLMConfig:
        return SmolVLMConfig(
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "image_size": 78,  # nine patches a side, and a rest
                "patch_size": 8,
            },
            text_config={**TEXT, "model_type": "llama", "vocab_size": words},
            image_token_id=token("<image>"),
            scale_factor=3,
        )

    def prompt(self, looks: Sequence[UnprunedSlot], question: str) -> str:
        """As the family's processor does it (`replace_video_token`), without numbers of frames."""
        cells = _prompt_single_image(
            looks[0].kept.size, "<fake_token_around_image>", "<image>", "<global-img>"
        )
        film = "You are provided the following series of frames from a video.\n"
        for look in looks:
            stamp = f"{int(look.times[0]) // 60:02d}:{int(look.times[0]) % 60:02d}"
            film += FRAME_TIMESTAMP_MESSAGE.format(timestamp=stamp) + cells
        film += DEFAULT_MEDIA_OUTTRO
        return f"<|im_start|>User: {film}{question}<end_of_utterance>\nAssistant:"

    def inputs(self, _ids: Tensor, looks: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values": self.scaled(looks)[None, :, 0]}

    def see(self, look: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_model, patches_of(look, 3)):
            seen = self.network.model.get_image_features(self.scaled([look]))
            return seen.pooler_output[0]


class SmallerSmolVLM2(SmolVLM2):
    grid = (2, 2)


class Llava(FamilyReference):
    adapter = LlavaOnevision
    grid = (4, 4)
    cell = "<video>"
    special = ("<|im_start|>", "<|im_end|>", "<image>", "<video>")
    template = (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
        "{{ '<video>' }}{% endfor %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
        "{{ '\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    trained = 64
    """Side of the pictures it was made for, in pixels."""

    def config(self, words: int, token: Any) -> LlavaOnevisionConfig:
        return LlavaOnevisionConfig(
            vision_config={
                "model_type": "siglip_vision_model",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "image_size": self.trained,
                "patch_size": 8,
                "vision_use_head": False,
            },
            text_config={**TEXT, "model_type": "qwen2", "vocab_size": words},
            image_token_index=token("<image>"),
            video_token_index=token("<video>"),
        )

    def prompt(self, looks: Sequence[UnprunedSlot], question: str) -> str:
        """A film of one frame per slot, each with a token more for the new line after it."""
        film = "<video>" * (looks[0].kept.size + 1) * len(looks)
        return f"<|im_start|>user {film}\n{question}<|im_end|><|im_start|>assistant\n"

    def inputs(self, _ids: Tensor, looks: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values_videos": self.scaled(looks)}

    def see(self, look: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_tower, patches_of(look, 2)):
            return self.network.model.get_video_features(self.scaled([look])).pooler_output[0, :-1]

    def with_end(self, cells: Tensor) -> Tensor:
        new_line = self.network.model.image_newline[None]
        return torch.cat([cells, new_line if cells.dim() > 1 else torch.ones(1, dtype=torch.bool)])


class OddLlava(Llava):
    """Trained on 7 x 7 patches, like the published ones on 27 x 27: shown 8 x 8 instead, it is what
    its parts make of that.
    """

    trained = 56

    def plain(self, looks: Sequence[UnprunedSlot], question: str) -> Tensor:
        return self.pruned(looks, question)

    def see(self, look: UnprunedSlot) -> Tensor:
        model = self.network.model
        with hidden_keys(model.vision_tower, patches_of(look, 2)):
            seen = model.vision_tower(
                self.scaled([look])[:, 0], interpolate_pos_encoding=True, output_hidden_states=True
            ).hidden_states[-1]
        picture = model.multi_modal_projector(seen).view(1, 8, 8, -1).permute(0, 3, 1, 2)
        pooled = torch.nn.functional.interpolate(picture, size=(4, 4), mode="bilinear")
        return pooled[0].flatten(1).T


def patches_of(look: UnprunedSlot, merge: int, heading: int = 0) -> Tensor:
    """Which patches are kept, row by row, after so many tokens that always are."""
    kept = np.kron(look.kept, np.ones((merge, merge), np.bool_)).ravel()
    return torch.from_numpy(np.concatenate([np.ones(heading, np.bool_), kept]))


REFERENCES: Sequence[type[FamilyReference]] = (
    Qwen3Moe,
    Qwen25,
    InternVL3,
    SmallerInternVL3,
    SmolVLM2,
    SmallerSmolVLM2,
    Llava,
    OddLlava,
)
