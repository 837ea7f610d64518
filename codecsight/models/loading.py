"""Load a model from a checkpoint folder or a hub id."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
from transformers.utils import cached_file
from transformers.utils.logging import disable_progress_bar

from codecsight.models.adapter import Adapter, PixelNormalization
from codecsight.models.base import VisionLanguageModel
from codecsight.models.calibration import read_calibration
from codecsight.models.errors import ModelError
from codecsight.models.families.internvl import InternVL
from codecsight.models.families.llava_onevision import LlavaOnevision
from codecsight.models.families.qwen2_5_vl import Qwen25VL
from codecsight.models.families.qwen3_vl import Qwen3VL, Qwen3VLMoe
from codecsight.models.families.smolvlm import SmolVLM
from codecsight.models.folder import DEFAULT_MODEL, find_folder

FAMILIES: dict[str, type[Adapter]] = {
    adapter.family: adapter
    for adapter in (Qwen3VL, Qwen3VLMoe, Qwen25VL, InternVL, SmolVLM, LlavaOnevision)
}
"""Supported families, by transformers' model_type."""

_PROCESSOR_FILES = (
    ("processor_config.json", "video_processor"),
    ("video_preprocessor_config.json", None),
    ("processor_config.json", "image_processor"),
    ("preprocessor_config.json", None),
)
"""Files, with a key in them, where a checkpoint may declare its pixel normalisation; the first one
that does is used."""


def load_model(source: str | Path | None = None, device: str | None = None) -> VisionLanguageModel:
    """Load the model in a local folder or under a hub id; None is CodecSight's default checkpoint.

    `device` None uses CUDA if available. Weights are float32 on the CPU and bfloat16 on CUDA.
    Raises ModelError naming the folder and what is missing or wrong.
    """
    name = str(source if source is not None else DEFAULT_MODEL)
    folder = find_folder(name)
    origin = str(folder or name)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        adapter = find_family(origin)
        tokenizer = load_tokenizer(origin)
        network = load_network(adapter, origin, target)
        normalization = read_pixel_normalization(origin)
        short_name = folder.name if folder else name
        model = adapter(network, tokenizer, name=short_name, normalization=normalization)
        if folder is not None:
            model.calibration = read_calibration(folder)
        return model
    except ModelError:
        raise
    except Exception as error:  # transformers, safetensors and the hub each raise their own
        hint = "" if folder else " (no such folder here; taken for a hub id)"
        raise ModelError(f"{name}: cannot load the model{hint}: {error}") from error


def find_family(name: str) -> type[Adapter]:
    """The adapter class for a checkpoint, from its config alone. Raises ModelError for an
    unsupported family.
    """
    family = AutoConfig.from_pretrained(name).model_type
    if family not in FAMILIES:
        raise ModelError(
            f"{name}: is of the family {family!r}; CodecSight supports {', '.join(FAMILIES)}"
        )
    return FAMILIES[family]


def load_tokenizer(name: str) -> Any:
    """The tokenizer, with the processor's chat template.

    Older checkpoints keep that template in chat_template.json, next to a tokenizer whose own
    template may not support pictures.
    """
    tokenizer = AutoTokenizer.from_pretrained(name)
    newer, older = (_find(name, f"chat_template.{suffix}") for suffix in ("jinja", "json"))
    if older and not newer:
        tokenizer.chat_template = json.loads(older.read_text())["chat_template"]
    return tokenizer


def load_network(adapter: type[Adapter], name: str, device: torch.device) -> PreTrainedModel:
    """The network with all its weights.

    Raises ModelError for missing weights: transformers would initialise them at random.
    """
    disable_progress_bar()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    network, report = adapter.network_class.from_pretrained(
        name, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
    )
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{name}: {len(missing)} weights are missing, among them {missing[0]}")
    return network.to(device)


def read_pixel_normalization(name: str) -> PixelNormalization | None:
    """The normalisation that the checkpoint's processor declares, or None."""
    for file, key in _PROCESSOR_FILES:
        path = _find(name, file)
        declared = json.loads(path.read_text()) if path else {}
        declared = declared.get(key, {}) if key else declared
        if "image_mean" in declared and "image_std" in declared:
            return declared["image_mean"], declared["image_std"]
    return None


def _find(name: str, file: str) -> Path | None:
    """Path of a file of the checkpoint, or None if it has no such file."""
    path = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    return Path(path) if path else None
