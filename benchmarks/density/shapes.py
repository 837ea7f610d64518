"""Random weights in the shapes of larger checkpoints; speed does not depend on the values."""

from typing import Any

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.loading import load_model

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "qwen3-vl-2b": (
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16,
         "out_hidden_size": 2048, "deepstack_visual_indexes": [5, 11, 17]},
        {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
         "num_attention_heads": 16, "num_key_value_heads": 8},
    ),
    "qwen3-vl-8b": (
        {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16,
         "out_hidden_size": 4096, "deepstack_visual_indexes": [8, 16, 24]},
        {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
         "num_attention_heads": 32, "num_key_value_heads": 8},
    ),
}  # fmt: skip
"""ViT and text settings of each shape, from the checkpoints' own configurations."""

_VISION = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
           "num_position_embeddings": 2304}  # fmt: skip
_TEXT = {"vocab_size": 151936, "head_dim": 128, "max_position_embeddings": 262144,
         "rope_parameters": {"rope_type": "default", "rope_theta": 5e6,
                             "mrope_section": [24, 20, 20], "mrope_interleaved": True}}  # fmt: skip


def random_weights(shape: str, device: str) -> Qwen3VL:
    """Return a bfloat16 model of this shape, with the default checkpoint's tokenizer."""
    default = load_model(device="cpu")
    assert isinstance(default, Qwen3VL)
    vision, text = SHAPES[shape]
    tokens = default.network.config
    config = Qwen3VLConfig(
        vision_config={**_VISION, **vision},
        text_config={**_TEXT, **text},
        image_token_id=tokens.image_token_id,
        video_token_id=tokens.video_token_id,
        vision_start_token_id=tokens.vision_start_token_id,
        vision_end_token_id=tokens.vision_end_token_id,
        tie_word_embeddings=shape == "qwen3-vl-2b",
    )
    with torch.device(device):
        network = Qwen3VLForConditionalGeneration._from_config(
            config, dtype=torch.bfloat16, attn_implementation="sdpa"
        )
    return Qwen3VL(network, default.tokenizer, name=f"{shape}-random")
