"""From a checkpoint folder or a hub id to a model that can be asked."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
from transformers.utils import cached_file
from transformers.utils.logging import disable_progress_bar

from codecsight.models.adapter import Adapter, PixelScale
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
"""Every family that can be read, by transformers' model_type."""

_PROCESSORS = (
    ("processor_config.json", "video_processor"),
    ("video_preprocessor_config.json", None),
    ("processor_config.json", "image_processor"),
    ("preprocessor_config.json", None),
)
"""Where a checkpoint may say what its pixels are, and under which key; the first found counts."""


def load_model(source: str | Path | None = None, device: str | None = None) -> VisionLanguageModel:
    """The model in a local folder or under a hub id; None is the one that comes with CodecSight.

    `device` None takes CUDA where there is one. Weights are float32 on the CPU and bfloat16 on
    CUDA. Raises ModelError naming the folder and what is missing or wrong.
    """
    name = str(source if source is not None else DEFAULT_MODEL)
    folder = find_folder(name)
    origin = str(folder or name)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        adapter = find_family(origin)
        tokenizer = load_tokenizer(origin)
        network = load_network(adapter, origin, place)
        scale = pixel_scale(origin)
        model = adapter(network, tokenizer, name=folder.name if folder else name, scale=scale)
        if folder is not None:
            model.calibration = read_calibration(folder)
        return model
    except ModelError:
        raise
    except Exception as error:  # transformers, safetensors and the hub each raise their own
        taken = "" if folder else " (no such folder here; taken for a hub id)"
        raise ModelError(f"{name}: cannot load the model{taken}: {error}") from error


def find_family(name: str) -> type[Adapter]:
    """The adapter for a model; refuses, before any weights are read, one of an unknown family."""
    family = AutoConfig.from_pretrained(name).model_type
    if family not in FAMILIES:
        raise ModelError(
            f"{name}: is of the family {family!r}; CodecSight reads {', '.join(FAMILIES)}"
        )
    return FAMILIES[family]


def load_tokenizer(name: str) -> Any:
    """The tokenizer, with the chat template of the checkpoint's processor where this has a file of
    its own: an older way to keep it, beside a tokenizer that may know of no pictures.
    """
    tokenizer = AutoTokenizer.from_pretrained(name)
    newer, older = (_find(name, f"chat_template.{kind}") for kind in ("jinja", "json"))
    if older and not newer:
        tokenizer.chat_template = json.loads(older.read_text())["chat_template"]
    return tokenizer


def load_network(adapter: type[Adapter], name: str, device: torch.device) -> PreTrainedModel:
    """The weights, all of them: transformers would fill a hole with random numbers."""
    disable_progress_bar()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    network, report = adapter.network_class.from_pretrained(
        name, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
    )
    if holes := sorted(report["missing_keys"]):
        raise ModelError(f"{name}: {len(holes)} weights are missing, among them {holes[0]}")
    return network.to(device)


def pixel_scale(name: str) -> PixelScale | None:
    """What the checkpoint's processor declares, if it does."""
    for file, part in _PROCESSORS:
        found = _find(name, file)
        declared = json.loads(found.read_text()) if found else {}
        declared = declared.get(part, {}) if part else declared
        if "image_mean" in declared and "image_std" in declared:
            return declared["image_mean"], declared["image_std"]
    return None


def _find(name: str, file: str) -> Path | None:
    """A file of the checkpoint, if it has it."""
    found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    return Path(found) if found else None
