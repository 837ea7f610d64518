"""From a checkpoint folder or a hub id to a model that can be asked."""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, Qwen3VLForConditionalGeneration
from transformers.utils import cached_file
from transformers.utils.logging import disable_progress_bar

from codecsight.models.base import VisionLanguageModel
from codecsight.models.errors import ModelError
from codecsight.models.folder import DEFAULT_MODEL, find_folder
from codecsight.models.qwen3_vl import Qwen3VL

_FAMILY = "qwen3_vl"
_PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")


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
        check_family(origin)
        tokenizer = AutoTokenizer.from_pretrained(origin)
        network = load_network(origin, place)
        mean, std = pixel_scale(origin)
    except ModelError:
        raise
    except Exception as error:  # transformers, safetensors and the hub each raise their own
        taken = "" if folder else " (no such folder here; taken for a hub id)"
        raise ModelError(f"{name}: cannot load the model{taken}: {error}") from error
    return Qwen3VL(network, tokenizer, name=folder.name if folder else name, mean=mean, std=std)


def check_family(name: str) -> None:
    """Refuse, before any weights are read, a model that is not of a known family."""
    family = AutoConfig.from_pretrained(name).model_type
    if family != _FAMILY:
        raise ModelError(
            f"{name}: is of the family {family!r}; CodecSight reads {_FAMILY!r} models"
        )


def load_network(name: str, device: torch.device) -> Qwen3VLForConditionalGeneration:
    """The weights, all of them: transformers would fill a hole with random numbers."""
    disable_progress_bar()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    network, report = Qwen3VLForConditionalGeneration.from_pretrained(
        name, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
    )
    if holes := sorted(report["missing_keys"]):
        raise ModelError(f"{name}: {len(holes)} weights are missing, among them {holes[0]}")
    return network.to(device)


def pixel_scale(name: str) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel as the checkpoint's processor declares them; where it
    declares none, those of transformers' own Qwen3-VL processor.
    """
    for file in _PROCESSORS:
        found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        declared = json.loads(Path(found).read_text()) if found else {}
        if "image_mean" in declared and "image_std" in declared:
            return declared["image_mean"], declared["image_std"]
    return [0.5] * 3, [0.5] * 3
