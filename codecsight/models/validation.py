"""Checks of a checkpoint's text model and tokenizer when a model is built."""

from typing import Any

from codecsight.models.base import KVShape
from codecsight.models.errors import ModelError

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
"""Text models with the layer structure that `PackedText` implements."""


def check_text_model(name: str, text: Any, kv: KVShape) -> None:
    """Reject a text model that the engine would run wrongly.

    Raises ModelError for an unknown layer structure, for keys that can't be re-rotated, and for
    layers without full attention. The published checkpoints of the supported families pass.
    """
    if text.config.model_type not in _TEXT_MODELS:
        known = ", ".join(sorted(_TEXT_MODELS))
        raise ModelError(
            f"{name}: its text model is a {text.config.model_type!r}; CodecSight supports {known}"
        )
    rope = text.config.rope_parameters["rope_type"]
    if rope == "longrope":
        raise ModelError(
            f"{name}: rotary embedding of type {rope!r} can't be used with a sliding window"
        )
    if rope == "dynamic":
        # It stretches the angles of sequences longer than the model was trained for. A window never
        # is: positions grow without bound, but all positions within a window are close together.
        text.rotary_emb.rope_type = "default"
    rotated = 2 * text.rotary_emb.inv_freq.numel()
    if rotated != kv.head_dim:
        raise ModelError(
            f"{name}: only {rotated} of a key's {kv.head_dim} dimensions are rotated; all must be"
        )
    layers = set(getattr(text.config, "layer_types", None) or ["full_attention"])
    if other := layers - {"full_attention"}:
        raise ModelError(
            f"{name}: has layers of {', '.join(sorted(other))}; all must use full attention"
        )


def eos_tokens(network: Any, tokenizer: Any) -> tuple[int, ...]:
    """All tokens that end an answer, the tokenizer's (the chat template's) first.

    Raises ModelError if there are none.
    """
    declared = network.generation_config.eos_token_id
    listed = declared if isinstance(declared, list) else [declared]
    ends = [token for token in (tokenizer.eos_token_id, *listed) if token is not None]
    if not ends:
        raise ModelError(f"{tokenizer.name_or_path}: no token ends an answer (eos_token is unset)")
    return tuple(dict.fromkeys(ends))
