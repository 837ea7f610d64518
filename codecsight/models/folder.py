"""Locate a checkpoint folder and check that its files are there, without loading anything."""

from pathlib import Path

from codecsight.models.errors import ModelError

DEFAULT_MODEL = Path(__file__).parent / "default"
"""The small checkpoint that ships with CodecSight."""


def find_folder(name: str) -> Path | None:
    """The checkpoint folder `name`, or None if `name` can only be a hub id (OWNER/NAME).

    Raises ModelError for a folder that doesn't exist or has no config, weights or tokenizer.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
            raise ModelError(
                f"{name}: no such model folder (give a folder, or a hub id OWNER/NAME)"
            )
        return None
    required = {
        "config.json": "config",
        "*.safetensors": "weights",
        "tokenizer*.json": "tokenizer",
    }
    missing = [f"{what} ({file})" for file, what in required.items() if not any(folder.glob(file))]
    if missing:
        raise ModelError(f"{name}: the model folder has no {', no '.join(missing)}")
    return folder
