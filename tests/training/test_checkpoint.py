"""The shipped checkpoint works with plain transformers and answers well on its own world."""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from codecsight.models.loading import DEFAULT_MODEL
from codecsight.world import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from codecsight.world.labels.questions import label_window, topic_question
from training.data.clips import Clip
from training.data.packing import cut_cells
from training.evaluation.descriptions import clause_subject
from training.evaluation.scoring import Score, held_out_clips
from training.network import patchify
from training.publish.card import EXAMPLE

GRID = (6, 8)


@pytest.fixture(scope="module")
def tokenizer() -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def network() -> Qwen3VLForConditionalGeneration:
    return Qwen3VLForConditionalGeneration.from_pretrained(DEFAULT_MODEL, dtype=torch.float32)


def prompt(clip: Clip, text: str) -> str:
    slots = "".join(
        f"<{(clip.times[i] + clip.times[i + 1]) / 2:.1f} seconds><|vision_start|>"
        f"{'<|video_pad|>' * GRID[0] * GRID[1]}<|vision_end|>"
        for i in range(0, len(clip.times), 2)
    )
    return f"<|im_start|>user\n{slots}{text}<|im_end|>\n<|im_start|>assistant\n"


def inputs(
    network: Qwen3VLForConditionalGeneration, tokenizer: AutoTokenizer, clip: Clip, text: str
) -> dict[str, torch.Tensor]:
    """Model inputs, as a user of transformers would build them."""
    ids = tokenizer(prompt(clip, text), return_tensors="pt").input_ids
    frames = clip.frames.reshape(clip.slots, 2, *clip.frames.shape[1:])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == network.config.video_token_id).int() * 2,
        "pixel_values_videos": patchify(torch.from_numpy(cut_cells(frames))),
        "video_grid_thw": torch.tensor([[clip.slots, 2 * GRID[0], 2 * GRID[1]]]),
    }


@lru_cache
def unseen(families: tuple[str, ...]) -> list[Clip]:
    return held_out_clips(40, 3, GRID, families, seed=77)


@torch.no_grad()
def score_topic(
    network: Qwen3VLForConditionalGeneration,
    tokenizer: AutoTokenizer,
    topic: str,
    families: tuple[str, ...],
) -> Score:
    score = Score()
    for clip in unseen(families):
        for item in label_window(clip.window):
            if item.topic == topic:
                logits = network(**inputs(network, tokenizer, clip, item.question.text)).logits
                options = item.question.options
                ids = [tokenizer.encode(option)[0] for option in options]
                score.pairs[item.answer, options[int(logits[0, -1, ids].argmax())]] += 1
    return score


@pytest.mark.parametrize(
    "families", [TRAINING_FAMILIES, HELD_OUT_FAMILIES], ids=["new seeds", "new families"]
)
@pytest.mark.parametrize("topic", ["person", "vehicle", "people", "on-left"])
def test_its_error_is_well_below_that_of_the_majority_baseline(
    network: Qwen3VLForConditionalGeneration,
    tokenizer: AutoTokenizer,
    topic: str,
    families: tuple[str, ...],
) -> None:
    score = score_topic(network, tokenizer, topic, families)
    assert score.questions >= 10
    error, baseline_error = 1 - score.accuracy, 1 - score.majority
    message = f"{topic}: {score.accuracy:.2f}, majority baseline {score.majority:.2f}"
    assert error <= 0.6 * baseline_error, message


def generate(
    network: Qwen3VLForConditionalGeneration, tokenizer: AutoTokenizer, clip: Clip, topic: str
) -> str:
    arguments = inputs(network, tokenizer, clip, topic_question(topic).text)
    return tokenizer.decode(network.generate(**arguments)[0, arguments["input_ids"].shape[1] :])


def test_greedy_decoding_gives_one_word_and_the_end_token(
    network: Qwen3VLForConditionalGeneration, tokenizer: AutoTokenizer
) -> None:
    (clip,) = held_out_clips(1, 2, GRID)
    assert generate(network, tokenizer, clip, "person") in ("yes<|im_end|>", "no<|im_end|>")


def test_descriptions_consist_of_known_clauses(
    network: Qwen3VLForConditionalGeneration, tokenizer: AutoTokenizer
) -> None:
    for clip in unseen(TRAINING_FAMILIES)[:8]:
        text = generate(network, tokenizer, clip, "describe")
        assert text.endswith("<|im_end|>")
        clauses = text.removesuffix("<|im_end|>").split(", ")
        assert "other" not in {clause_subject(clause) for clause in clauses}, text
        assert len(clauses) <= 5


def test_the_example_of_the_model_card_runs_and_prints_the_answer(
    network: Qwen3VLForConditionalGeneration, tokenizer: AutoTokenizer, tmp_path: Path
) -> None:
    assert EXAMPLE.read_text() in (DEFAULT_MODEL / "README.md").read_text()
    (tmp_path / "ask.py").write_text(EXAMPLE.read_text())
    clip = unseen(TRAINING_FAMILIES)[0]
    np.save(tmp_path / "pictures.npy", clip.frames)
    arguments = [str(DEFAULT_MODEL), "pictures.npy", topic_question("person").text]
    run = subprocess.run(
        [sys.executable, "-I", "ask.py", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.stdout.split() == [
        generate(network, tokenizer, clip, "person").removesuffix("<|im_end|>")
    ], run.stderr


def test_the_folder_is_small_and_complete() -> None:
    names = {file.name for file in DEFAULT_MODEL.iterdir()}
    assert names >= {"config.json", "tokenizer.json", "model.safetensors", "README.md"}
    assert sum(file.stat().st_size for file in DEFAULT_MODEL.iterdir()) < 15e6
