"""Exports a training run as a checkpoint folder that plain transformers loads."""

import json
from pathlib import Path
from typing import Any

import torch

from training.network import Learner
from training.recipe import CELL, FRAMES, GRIDS, MERGE, PATCH, RATE

WEIGHTS = "model.safetensors"
_MAX_SLOTS = 8


def export_checkpoint(learner: Learner, tokenizer: Any, folder: Path) -> None:
    """Write configuration, weights (bfloat16), tokenizer, chat template and processor configs."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    network = learner.network.to(torch.bfloat16)
    network.generation_config.update(do_sample=False, max_new_tokens=32)
    network.save_pretrained(folder)
    for name, settings in _processors().items():
        (folder / name).write_text(json.dumps(settings, indent=2) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)


def _processors() -> dict[str, dict[str, Any]]:
    """Processor configurations: pixels scaled to -1..1, pictures of the training size."""
    rows, cols = next(iter(GRIDS))
    shared: dict[str, Any] = {
        "processor_class": "Qwen3VLProcessor",
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 1 / 255,
        "resample": 3,
        "merge_size": MERGE,
        "patch_size": PATCH,
        "temporal_patch_size": FRAMES,
    }
    pixels = rows * cols * CELL**2
    return {
        "preprocessor_config.json": {
            **shared,
            "image_processor_type": "Qwen2VLImageProcessor",
            "size": {"shortest_edge": pixels, "longest_edge": pixels},
        },
        "video_preprocessor_config.json": {
            **shared,
            "video_processor_type": "Qwen3VLVideoProcessor",
            "fps": RATE,
            "min_frames": FRAMES,
            "max_frames": FRAMES * _MAX_SLOTS,
            "size": {"shortest_edge": pixels, "longest_edge": pixels * FRAMES * _MAX_SLOTS},
        },
    }
