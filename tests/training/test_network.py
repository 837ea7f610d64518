"""Packed training sequences give the logits of transformers' own forward pass."""

import random

import pytest
import torch

from codecsight.models.prompt import PromptLayout
from training.__main__ import layout_of
from training.data.clips import draw_clips
from training.data.packing import IGNORED, Packer
from training.network import Learner, patchify
from training.tokenizer import build_tokenizer

GRID = (5, 9)


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner.from_scratch(build_tokenizer(), seed=3).eval()


@pytest.fixture(scope="module")
def layout(learner: Learner) -> PromptLayout:
    return layout_of(build_tokenizer(), learner)


@torch.no_grad()
def test_packed_questions_give_the_logits_of_single_questions(
    learner: Learner, layout: PromptLayout
) -> None:
    clips = draw_clips(random.Random(5), 2, 3, GRID)
    batch = Packer(layout, GRID, max_questions=3).pack(clips, random.Random(1))
    packed, _ = learner.answer_logits(*learner.encode_images(batch), batch)
    row = 0
    for window in range(2):
        for number in range(1, int(batch.segment_ids[window].max()) + 1):
            members = (batch.segment_ids[window] == 0) | (batch.segment_ids[window] == number)
            ids = batch.ids[window, members][None]
            single = library_logits(learner, batch.cells.view(2, -1, 2, 3, 16, 16)[window], ids)
            labelled = batch.labels[window, members] != IGNORED
            count = int(labelled.sum())
            torch.testing.assert_close(
                packed[row : row + count], single[labelled], atol=1e-4, rtol=0
            )
            row += count
    assert row == len(packed) == sum(batch.answer_lengths) >= 8


def library_logits(learner: Learner, cells: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Logits of transformers' own forward pass from pixels and token ids."""
    config = learner.network.config
    config.vision_config._attn_implementation = "sdpa"
    try:
        video = (ids == config.video_token_id).int() * 2
        return learner.network(
            input_ids=ids,
            pixel_values_videos=patchify(cells),
            video_grid_thw=torch.tensor([[3, 2 * GRID[0], 2 * GRID[1]]]),
            mm_token_type_ids=video,
        ).logits[0]
    finally:
        config.vision_config._attn_implementation = "per-slot-attention"
