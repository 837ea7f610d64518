"""References of all families but Qwen3-VL, whose reference is `TransformersReference`."""

from collections.abc import Sequence
from typing import Any

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

from codecsight.models.families.internvl import InternVL
from codecsight.models.families.llava_onevision import LlavaOnevision
from codecsight.models.families.qwen2_5_vl import Qwen25VL
from codecsight.models.families.qwen3_vl import Qwen3VLMoe
from codecsight.models.families.smolvlm import SmolVLM
from codecsight.models.tiny import CHAT_TEMPLATE, SPECIAL_TOKENS
from tests.golden.reference_base import TEXT_CONFIG, FamilyReference, kept_patches
from tests.golden.transformers_reference import (
    TransformersReference,
    UnprunedSlot,
    hidden_keys,
)

QWEN_VISION_CONFIG = {
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


def vision_token_ids(token: Any) -> dict[str, int]:
    """The ids of Qwen's vision tokens, by their names in its configurations."""
    return {
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
    }


class Qwen(FamilyReference):
    """Both Qwen families write slots alike and number positions with `get_rope_index`."""

    cell = "<|video_pad|>"
    special = SPECIAL_TOKENS
    template = CHAT_TEMPLATE

    def prompt(self, stream: Sequence[UnprunedSlot], question: str) -> str:
        text = "<|im_start|>user\n"
        for unpruned in stream:
            stamp = sum(unpruned.times) / len(unpruned.times)
            cells = "<|video_pad|>" * unpruned.kept.size
            text += f"<{stamp:.1f} seconds><|vision_start|>{cells}<|vision_end|>"
        return f"{text}{question}<|im_end|>\n<|im_start|>assistant\n"

    def grid_thw(self, stream: Sequence[UnprunedSlot]) -> Tensor:
        rows, cols = self.grid
        return torch.tensor([[1, 2 * rows, 2 * cols]] * len(stream))

    def token_types(self, ids: Tensor) -> Tensor:
        return (ids == self.network.config.video_token_id).int() * 2

    def pixels(self, stream: Sequence[UnprunedSlot]) -> Tensor:
        """The patches in the order of transformers' Qwen video processors."""
        (rows, cols), patch = self.grid, self.model.patch
        blocks = self.normalized(stream).view(len(stream), 2, 3, rows, 2, patch, cols, 2, patch)
        return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 3 * 2 * patch**2)

    def positions(self, ids: Tensor, stream: Sequence[UnprunedSlot]) -> Tensor:
        types, grids = self.token_types(ids), self.grid_thw(stream)
        found, _ = self.network.model.get_rope_index(ids, types, video_grid_thw=grids)
        return found


class Qwen25(Qwen):
    adapter = Qwen25VL
    grid = (3, 5)

    def config(self, vocab_size: int, token: Any) -> Qwen2_5_VLConfig:
        return Qwen2_5_VLConfig(
            vision_config={
                **QWEN_VISION_CONFIG,
                "window_size": 32,
                "fullatt_block_indexes": [1],
            },
            text_config={
                **TEXT_CONFIG,
                "vocab_size": vocab_size,
                "rope_parameters": {**MROPE, "mrope_section": [2, 2, 2]},
            },
            **vision_token_ids(token),
        )

    def inputs(self, ids: Tensor, stream: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {
            "pixel_values_videos": self.pixels(stream),
            "video_grid_thw": self.grid_thw(stream),
            "mm_token_type_ids": self.token_types(ids),
        }

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        grid = self.grid_thw([unpruned])
        order, _ = get_vision_window_index(grid, 2, 32, 8)
        keys = torch.from_numpy(np.repeat(unpruned.kept.ravel()[order], 4))
        with hidden_keys(self.network.model.visual, keys):
            return self.network.model.visual(self.pixels([unpruned]), grid_thw=grid).pooler_output


class Qwen3Moe(Qwen):
    adapter = Qwen3VLMoe

    def config(self, vocab_size: int, token: Any) -> Qwen3VLMoeConfig:
        return Qwen3VLMoeConfig(
            vision_config={
                **QWEN_VISION_CONFIG,
                "num_position_embeddings": 64,
                "deepstack_visual_indexes": [0, 1],
            },
            text_config={
                **TEXT_CONFIG,
                "vocab_size": vocab_size,
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
            **vision_token_ids(token),
        )

    def plain(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        return TransformersReference(self.model).logits(stream, question)

    def pruned(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        """By masking: the deepstack is added inside the text model's layers."""
        return TransformersReference(self.model).logits(stream, question)

    def latest(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        return TransformersReference(self.model).logits(stream, question, latest=True, last=1)


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

    def config(self, vocab_size: int, token: Any) -> InternVLConfig:
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
            text_config={**TEXT_CONFIG, "model_type": "qwen2", "vocab_size": vocab_size},
            image_token_id=token("<IMG_CONTEXT>"),
            image_seq_length=16,
        )

    def prompt(self, stream: Sequence[UnprunedSlot], question: str) -> str:
        """As the family's processor writes a video, with times instead of frame numbers."""
        cells = "<img>" + "<IMG_CONTEXT>" * stream[0].kept.size + "</img>"
        frames = "\n".join(
            f"Frame at {unpruned.times[0]:.1f} seconds: {cells}" for unpruned in stream
        )
        return f"<|im_start|>user\n{frames}\n{question}<|im_end|>\n<|im_start|>assistant\n"

    def inputs(self, _ids: Tensor, stream: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values": self.normalized(stream)[:, 0]}

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_tower, kept_patches(unpruned, 2, leading=1)):
            features = self.network.model.get_image_features(self.normalized([unpruned])[:, 0])
            return features.pooler_output[0]


class SmallerInternVL3(InternVL3):
    """Pictures smaller than those the model was trained on."""

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
    template = "this template is never used for videos"
    end = "<end_of_utterance>"

    def config(self, vocab_size: int, token: Any) -> SmolVLMConfig:
        return SmolVLMConfig(
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "image_size": 78,  # nine patches a side, and a remainder
                "patch_size": 8,
            },
            text_config={**TEXT_CONFIG, "model_type": "llama", "vocab_size": vocab_size},
            image_token_id=token("<image>"),
            scale_factor=3,
        )

    def prompt(self, stream: Sequence[UnprunedSlot], question: str) -> str:
        """As the family's processor writes it (`replace_video_token`), without frame counts."""
        cells = _prompt_single_image(
            stream[0].kept.size, "<fake_token_around_image>", "<image>", "<global-img>"
        )
        text = "You are provided the following series of frames from a video.\n"
        for unpruned in stream:
            stamp = f"{int(unpruned.times[0]) // 60:02d}:{int(unpruned.times[0]) % 60:02d}"
            text += FRAME_TIMESTAMP_MESSAGE.format(timestamp=stamp) + cells
        text += DEFAULT_MEDIA_OUTTRO
        return f"<|im_start|>User: {text}{question}<end_of_utterance>\nAssistant:"

    def inputs(self, _ids: Tensor, stream: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values": self.normalized(stream)[None, :, 0]}

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_model, kept_patches(unpruned, 3)):
            features = self.network.model.get_image_features(self.normalized([unpruned]))
            return features.pooler_output[0]


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
    """Side of the pictures the model was trained on, in pixels."""

    def config(self, vocab_size: int, token: Any) -> LlavaOnevisionConfig:
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
            text_config={**TEXT_CONFIG, "model_type": "qwen2", "vocab_size": vocab_size},
            image_token_index=token("<image>"),
            video_token_index=token("<video>"),
        )

    def prompt(self, stream: Sequence[UnprunedSlot], question: str) -> str:
        """A video of one frame per slot, each with one more token for the new line after it."""
        videos = "<video>" * (stream[0].kept.size + 1) * len(stream)
        return f"<|im_start|>user {videos}\n{question}<|im_end|><|im_start|>assistant\n"

    def inputs(self, _ids: Tensor, stream: Sequence[UnprunedSlot]) -> dict[str, Any]:
        return {"pixel_values_videos": self.normalized(stream)}

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        with hidden_keys(self.network.model.vision_tower, kept_patches(unpruned, 2)):
            features = self.network.model.get_video_features(self.normalized([unpruned]))
            return features.pooler_output[0, :-1]

    def with_closing(self, cells: Tensor) -> Tensor:
        new_line = self.network.model.image_newline[None]
        return torch.cat([cells, new_line if cells.dim() > 1 else torch.ones(1, dtype=torch.bool)])


class OddLlava(Llava):
    """Trained on 7 x 7 patches (the published ones: 27 x 27), given 8 x 8. The reference runs the
    network's parts one by one.
    """

    trained = 56

    def plain(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        return self.pruned(stream, question)

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        model = self.network.model
        with hidden_keys(model.vision_tower, kept_patches(unpruned, 2)):
            features = model.vision_tower(
                self.normalized([unpruned])[:, 0],
                interpolate_pos_encoding=True,
                output_hidden_states=True,
            ).hidden_states[-1]
        picture = model.multi_modal_projector(features).view(1, 8, 8, -1).permute(0, 3, 1, 2)
        pooled = torch.nn.functional.interpolate(picture, size=(4, 4), mode="bilinear")
        return pooled[0].flatten(1).T


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
