"""A very small Qwen3-VL with random weights, for tests: it has every mechanism of the real one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from codecsight.models.families.qwen3_vl import Qwen3VL

SPECIAL_TOKENS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Qwen's template, reduced to one user turn.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def byte_tokenizer(
    special: Sequence[str] = SPECIAL_TOKENS, template: str = CHAT_TEMPLATE, end: str = "<|im_end|>"
) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per byte and the `special` tokens; it encodes any text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = template
    return tokenizer


def random_network(tokenizer: Any, seed: int, **overrides: Any) -> Qwen3VLForConditionalGeneration:
    """A small network with random weights, deepstack, interleaved M-RoPE, 2 x 2 merging and
    grouped-query attention. `overrides` named `vision_*` go to the vision config, `text_*` to the
    text config.
    """
    vision = {
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
        "initializer_range": 0.15,
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 32768,
        "initializer_range": 0.15,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
    }
    for key, value in overrides.items():
        part, _, field = key.partition("_")
        {"vision": vision, "text": text}[part][field] = value
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")


def random_model(seed: int = 0, **overrides: Any) -> Qwen3VL:
    """A model with random weights, the same for the same seed; see `random_network`."""
    tokenizer = byte_tokenizer()
    return Qwen3VL(random_network(tokenizer, seed, **overrides), tokenizer, name=f"random-{seed}")


def save_random_model(folder: Path, seed: int = 0, **overrides: Any) -> Path:
    """Write a random model as a checkpoint folder, for code that loads one by its path."""
    model = random_model(seed, **overrides)
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder
