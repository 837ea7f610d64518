import random
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks.accuracy.streams import FULL, streams
from codecsight.world import COLOURS, HELD_OUT, TRAINING, Box, Kind, Scene, Seen, Truth
from codecsight.world.effects import EffectKind
from codecsight.world.questions import ask_of
from codecsight.world.shapes import Style
from codecsight.world.truth import Sign
from training.__main__ import layout_of
from training.batches import Batches
from training.calibrate import CHECK_SEEDS, FIT_SEEDS
from training.clips import draw
from training.evaluate import held_out
from training.film import filmed
from training.network import Learner
from training.packing import cut
from training.recipe import HELD_OUT_SEEDS, STAGES, TRAINING_SEEDS
from training.targets import CHANNELS, DOING, SHOWING, SIGNS, cell_targets
from training.tokenizer import build_tokenizer


def test_a_clip_is_what_its_seed_says() -> None:
    first, second = (draw(random.Random(4), 3, 2, (6, 8)) for _ in "ab")
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert (one.times, one.window) == (other.times, other.window)


@pytest.mark.parametrize(("grid", "shape"), [((6, 8), (96, 128)), ((5, 9), (80, 144))])
def test_a_clip_has_two_pictures_a_second_of_the_grids_size(
    grid: tuple[int, int], shape: tuple[int, int]
) -> None:
    (clip,) = draw(random.Random(1), 1, 3, grid)
    assert clip.frames.shape == (6, *shape, 3)
    assert np.diff(clip.times) == pytest.approx([0.5] * 5)
    assert [moment.time for moment in clip.window] == list(clip.times)


def test_what_is_held_out_is_never_trained_on() -> None:
    assert not set(TRAINING) & set(HELD_OUT)
    assert TRAINING_SEEDS.stop <= HELD_OUT_SEEDS.start
    trained = draw(random.Random(2), 24, 1, (6, 8))
    assert {clip.family for clip in trained} == set(TRAINING)
    assert {clip.family for clip in held_out(8, 1, (6, 8), HELD_OUT)} == set(HELD_OUT)
    styles = {Scene.random(seed, family).style for seed in range(9) for family in TRAINING}
    assert styles == {Style.USUAL}


def test_the_bench_of_answers_asks_of_scenes_that_neither_training_nor_calibration_saw() -> None:
    seeds = {stream.seed for stream in streams(FULL)}
    assert all(seed in HELD_OUT_SEEDS for seed in seeds)
    assert not seeds & {*FIT_SEEDS, *CHECK_SEEDS}


def test_a_stage_resumed_in_the_middle_goes_on_with_the_same_batches() -> None:
    tokenizer = build_tokenizer()
    layout = layout_of(tokenizer, Learner.fresh(tokenizer, 1))
    whole = list(islice(Batches(layout, STAGES[1], 0, 7), 3))
    rest = list(islice(Batches(layout, STAGES[1], 2, 7), 1))
    assert torch.equal(whole[2].cells, rest[0].cells)
    assert torch.equal(whole[2].ids, rest[0].ids)


def test_cells_are_cut_row_by_row() -> None:
    frames = np.arange(2 * 96 * 128 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 2, 96, 128, 3)
    cells = cut(frames)
    assert cells.shape == (48, 2, 3, 16, 16)
    np.testing.assert_array_equal(cells[9, 1, 2], frames[0, 1, 16:32, 16:32, 2])


def test_the_targets_mark_kind_place_colour_and_direction() -> None:
    box = Box(0.30, 0.40, 0.35, 0.60)
    walker = Seen(1, Kind.PERSON, "blue", box, 1.0, (-0.1, 0.0))
    targets = cell_targets(Truth(0.0, (walker,)), (6, 8))
    assert targets.shape == (6, 8, CHANNELS)
    (row, col), *others = np.argwhere(targets[..., 3] == 1).tolist()
    assert (row, col, others) == (3, 2, [])
    marked = np.flatnonzero(targets[3, 2]).tolist()
    assert marked == [0, 3, 6 + list(COLOURS).index("blue"), DOING]
    assert targets[:, :2].sum() == targets[:, 3:].sum() == 0


def test_the_targets_mark_what_is_done_and_what_shows_besides() -> None:
    box = Box(0.30, 0.40, 0.35, 0.60)
    runner = Seen(1, Kind.PERSON, "blue", box, 1.0, (0.3, 0.0))
    lying = replace(runner, velocity=(0.0, 0.0), lies=True)
    fire = Sign(EffectKind.FIRE, Box(0.5, 0.0, 1.0, 0.5), 1.0)
    for seen, done in ((runner, [1, 2]), (lying, [3])):
        doing = cell_targets(Truth(0.0, (seen,)), (6, 8))[3, 2, DOING:SHOWING]
        assert np.flatnonzero(doing).tolist() == done
    for sign, shown in ((fire, 3 * 4), (replace(fire, strength=0.5), 0)):
        showing = cell_targets(Truth(0.0, (), (sign,)), (6, 8))[..., SHOWING:]
        assert showing.sum() == showing[:3, 4:, SIGNS.index(EffectKind.FIRE)].sum() == shown


def test_a_filmed_window_shows_the_same_world_as_a_drawn_one() -> None:
    clips = filmed("yard", 3, seconds=4, slots=2, grid=(6, 8))
    assert len(clips) == 2
    for clip in clips:
        assert clip.frames.shape == (4, 96, 128, 3)
        assert ask_of(clip.window)
        assert np.diff(clip.times) == pytest.approx([0.5] * 3)
