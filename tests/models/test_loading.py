"""Loading checkpoints from folders, and the errors for incomplete ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from codecsight.core.slot import Slot, SlotKind
from codecsight.models.errors import ModelError
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model, read_pixel_normalization


@pytest.fixture(scope="session")
def checkpoint(model: Qwen3VL, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    processor = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_a_saved_model_is_loaded_unchanged(checkpoint: Path, model: Qwen3VL) -> None:
    loaded = load_model(checkpoint, device="cpu")
    assert loaded.name == "small"
    assert loaded.kv == model.kv
    shape = (2, model.frames, 3, model.cell, model.cell)
    patches = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    slot = Slot(SlotKind.ANCHOR, np.ones((1, 2), bool), patches, np.ones(2), (0.0, 0.5), 0.0)
    scale = ([0.5] * 3, [0.25] * 3)
    again = Qwen3VL(model.network, model.tokenizer, name="again", normalization=scale)
    assert torch.equal(loaded.encode_cells(slot).embeddings, again.encode_cells(slot).embeddings)
    assert torch.equal(loaded.layout.question("Why?").ids, model.layout.question("Why?").ids)


def test_a_chat_template_may_be_in_the_processors_json_file(copy: Path) -> None:
    ours = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").unlink()
    (copy / "chat_template.json").write_text(json.dumps({"chat_template": f"Hello.{ours}"}))
    loaded = load_model(copy, device="cpu")
    assert loaded.detokenize(loaded.layout.prefix.ids.tolist()).startswith("Hello.")


def test_pixel_normalization_may_be_in_the_combined_processor_file(copy: Path) -> None:
    declared = {"image_mean": [0.5] * 3, "image_std": [0.125] * 3}
    (copy / "processor_config.json").write_text(json.dumps({"video_processor": declared}))
    assert read_pixel_normalization(str(copy)) == ([0.5] * 3, [0.125] * 3)


def without(pattern: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return damage


def another_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "qwen2_vl"
    (folder / "config.json").write_text(json.dumps(config))


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def one_weight_missing(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(next(name for name in tensors if "merger.linear_fc1.weight" in name))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("*.safetensors"), r"has no weights \(\*\.safetensors\)"),
        (without("config.json"), r"has no config \(config\.json\)"),
        (without("tokenizer*"), r"has no tokenizer \("),
        (
            another_family,
            "of the family 'qwen2_vl'; CodecSight supports qwen3_vl, .*llava_onevision",
        ),
        (cut_weights, "cannot load the model"),
        (one_weight_missing, "1 weights are missing, among them .*merger"),
        (no_template, "no chat template"),
        (broken_config, "cannot load the model"),
    ],
    ids=lambda value: getattr(value, "__name__", "message"),
)
def test_a_damaged_folder_is_rejected_by_name(
    copy: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(copy)
    with pytest.raises(ModelError, match=message) as error:
        load_model(copy, device="cpu")
    assert "copy" in str(error.value)


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "~/nowhere", "just-a-word"])
def test_a_missing_folder_is_rejected(name: str) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(name)


def test_an_unreachable_hub_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"nobody/nothing: cannot load .* taken for a hub id"):
        load_model("nobody/nothing")


def test_the_default_model_can_be_loaded() -> None:
    if not DEFAULT_MODEL.is_dir():
        pytest.skip("the default checkpoint is missing")
    assert load_model(device="cpu").frames == 2
