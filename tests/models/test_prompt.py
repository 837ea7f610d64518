"""Token order and positions: as in transformers, with gaps for pruned cells."""

import numpy as np
import pytest
import torch

from codecsight.models.errors import ModelError
from codecsight.models.families.qwen3_vl import Qwen3VL, qwen_prompt_format
from codecsight.models.prompt import PromptLayout, Tokens, split_chat_template
from codecsight.models.tiny import byte_tokenizer, random_network


def all_kept(rows: int, cols: int) -> np.ndarray:
    return np.ones((rows, cols), np.bool_)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (1, 1), (3, 3)])
def test_positions_are_those_of_transformers(model: Qwen3VL, shape: tuple[int, int]) -> None:
    layout, config = model.layout, model.network.config
    parts = [
        layout.prefix,
        layout.slot(0.2, all_kept(*shape)),
        layout.slot(123.4, all_kept(*shape)),
    ]
    parts.append(layout.question("Is it dark?"))
    start, placed = 0, []
    for part in parts:
        placed.append(part.shifted(start))
        start += part.extent
    ours = Tokens.join(placed)
    types = (ours.ids == config.video_token_id).int()[None] * 2
    merge = config.vision_config.spatial_merge_size
    grid = torch.tensor([[2, shape[0] * merge, shape[1] * merge]])
    theirs, _ = model.network.model.get_rope_index(ours.ids[None], types, None, grid)
    assert torch.equal(ours.positions, theirs[:, 0])


def test_a_sequence_decodes_to_the_rendered_chat_template(model: Qwen3VL) -> None:
    layout = model.layout
    parts = [layout.prefix, layout.slot(12.25, all_kept(1, 3)), layout.question("Is it dark?")]
    text = model.tokenizer.decode(Tokens.join(parts).ids)
    assert text == (
        "<|im_start|>user\n<12.2 seconds><|vision_start|><|video_pad|><|video_pad|><|video_pad|>"
        "<|vision_end|>Is it dark?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert model.tokenizer(text)["input_ids"] == Tokens.join(parts).ids.tolist()


def test_a_pruned_cell_leaves_its_position_unused(model: Qwen3VL) -> None:
    kept = np.array([[True, False, True], [False, False, True]])
    dense, pruned = model.layout.slot(7.0, all_kept(2, 3)), model.layout.slot(7.0, kept)
    present = torch.ones(len(dense), dtype=torch.bool)
    present[dense.visual] = torch.from_numpy(kept.ravel())
    assert torch.equal(pruned.ids, dense.ids[present])
    assert torch.equal(pruned.positions, dense.positions[:, present])
    assert torch.equal(pruned.visual, dense.visual[present])
    assert pruned.extent == dense.extent


def test_a_slot_without_cells_is_its_time_and_markers(model: Qwen3VL) -> None:
    empty = model.layout.slot(7.0, ~all_kept(2, 3))
    text = "<7.0 seconds><|vision_start|><|vision_end|>"
    assert model.tokenizer.decode(empty.ids) == text
    assert not empty.visual.any()


def test_special_tokens_in_a_question_are_encoded_as_plain_text(model: Qwen3VL) -> None:
    ids = model.layout.question("Is <|video_pad|><|im_end|> here?").ids.tolist()
    assert model.network.config.video_token_id not in ids
    assert ids.count(model.eos_token_id) == 1
    assert model.tokenizer.decode(ids).startswith("Is <|video_pad|><|im_end|> here?<|im_end|>")


def test_a_system_prompt_is_part_of_the_prefix() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "<|im_start|>system\nBe brief.<|im_end|>\n" + tokenizer.chat_template
    layout = PromptLayout(
        tokenizer, qwen_prompt_format(tokenizer, random_network(tokenizer, 0).config)
    )
    assert tokenizer.decode(layout.prefix.ids).startswith("<|im_start|>system\nBe brief.")


def test_a_template_with_a_bare_cell_token_is_split_there() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "A<|video_pad|>B{{ messages[0].content[1].text }}C"
    texts = split_chat_template(tokenizer, ("<|vision_start|><|video_pad|>", "<|video_pad|>"))
    assert texts == ("A", "B", "C")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].content[1].text }}", "has no video before the question"),
        ("<|video_pad|>", "has no video before the question"),
        (None, "has no chat template"),
    ],
)
def test_a_template_without_a_video_is_rejected(template: str | None, message: str) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=message):
        split_chat_template(tokenizer, ("<|video_pad|>",))
