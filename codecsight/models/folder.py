"""Where a checkpoint lies, and whether it is whole; told without loading anything."""

from pathlib import Path

from codecsight.models.errors import ModelError

DEFAULT_MODEL = Path(__file__).parent / "default"
"""The small checkpoint that comes with CodecSight."""


def find_folder(name: str) -> Path | None:
    """The folder `name` stands for, seen to be whole, or None where it can only be a hub id."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
            raise ModelError(
                f"{name}: no such model folder (give a folder, or a hub id OWNER/NAME)"
            )
        return None
    wanted = {
        "config.json": "config",
        "*.safetensors": "weights",
        "tokenizer*.json": "tokenizer",
    }
    missing = [f"{what} ({file})" for file, what in wanted.items() if not any(folder.glob(file))]
    if missing:
        raise ModelError(f"{name}: the model folder has no {', no '.join(missing)}")
    return folder
