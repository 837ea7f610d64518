import random
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks.accuracy.streams import FULL, streams
from codecsight.world import (
    COLOURS,
    HELD_OUT_FAMILIES,
    TRAINING_FAMILIES,
    ActorKind,
    ActorState,
    Box,
    GroundTruth,
    Scene,
)
from codecsight.world.labels.ground_truth import EffectState
from codecsight.world.labels.questions import label_window
from codecsight.world.scene.effects import EffectKind
from codecsight.world.scene.scene import Style
from training.__main__ import layout_of
from training.data.batches import TrainingBatches
from training.data.clips import draw_clips
from training.data.film import filmed_clips
from training.data.packing import cut_cells
from training.data.targets import (
    CHANNELS,
    EFFECT_KINDS,
    FIRST_EFFECT_CHANNEL,
    FIRST_MOTION_CHANNEL,
    cell_targets,
)
from training.evaluation.calibrate import CHECK_SEEDS, FIT_SEEDS
from training.evaluation.scoring import held_out_clips
from training.network import Learner
from training.recipe import HELD_OUT_SEEDS, STAGES, TRAINING_SEEDS
from training.tokenizer import build_tokenizer


def test_clips_are_determined_by_the_seed() -> None:
    first, second = (draw_clips(random.Random(4), 3, 2, (6, 8)) for _ in "ab")
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert (one.times, one.window) == (other.times, other.window)


@pytest.mark.parametrize(("grid", "shape"), [((6, 8), (96, 128)), ((5, 9), (80, 144))])
def test_a_clip_has_two_pictures_per_second_of_the_grids_size(
    grid: tuple[int, int], shape: tuple[int, int]
) -> None:
    (clip,) = draw_clips(random.Random(1), 1, 3, grid)
    assert clip.frames.shape == (6, *shape, 3)
    assert np.diff(clip.times) == pytest.approx([0.5] * 5)
    assert [sample.time for sample in clip.window] == list(clip.times)


def test_held_out_seeds_families_and_styles_are_not_in_the_training_data() -> None:
    assert not set(TRAINING_FAMILIES) & set(HELD_OUT_FAMILIES)
    assert TRAINING_SEEDS.stop <= HELD_OUT_SEEDS.start
    trained = draw_clips(random.Random(2), 24, 1, (6, 8))
    assert {clip.family for clip in trained} == set(TRAINING_FAMILIES)
    assert {clip.family for clip in held_out_clips(8, 1, (6, 8), HELD_OUT_FAMILIES)} == set(
        HELD_OUT_FAMILIES
    )
    styles = {Scene.random(seed, family).style for seed in range(9) for family in TRAINING_FAMILIES}
    assert styles == {Style.DEFAULT}


def test_the_accuracy_benchmark_uses_neither_training_nor_calibration_seeds() -> None:
    seeds = {stream.seed for stream in streams(FULL)}
    assert all(seed in HELD_OUT_SEEDS for seed in seeds)
    assert not seeds & {*FIT_SEEDS, *CHECK_SEEDS}


def test_a_resumed_stage_continues_with_the_same_batches() -> None:
    tokenizer = build_tokenizer()
    layout = layout_of(tokenizer, Learner.from_scratch(tokenizer, 1))
    whole = list(islice(TrainingBatches(layout, STAGES[1], 0, 7), 3))
    rest = list(islice(TrainingBatches(layout, STAGES[1], 2, 7), 1))
    assert torch.equal(whole[2].cells, rest[0].cells)
    assert torch.equal(whole[2].ids, rest[0].ids)


def test_cells_are_cut_row_by_row() -> None:
    frames = np.arange(2 * 96 * 128 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 2, 96, 128, 3)
    cells = cut_cells(frames)
    assert cells.shape == (48, 2, 3, 16, 16)
    np.testing.assert_array_equal(cells[9, 1, 2], frames[0, 1, 16:32, 16:32, 2])


def test_targets_mark_kind_centre_colour_and_direction() -> None:
    box = Box(0.30, 0.40, 0.35, 0.60)
    walker = ActorState(1, ActorKind.PERSON, "blue", box, 1.0, (-0.1, 0.0))
    targets = cell_targets(GroundTruth(0.0, (walker,)), (6, 8))
    assert targets.shape == (6, 8, CHANNELS)
    (row, col), *others = np.argwhere(targets[..., 3] == 1).tolist()
    assert (row, col, others) == (3, 2, [])
    marked = np.flatnonzero(targets[3, 2]).tolist()
    assert marked == [0, 3, 6 + list(COLOURS).index("blue"), FIRST_MOTION_CHANNEL]
    assert targets[:, :2].sum() == targets[:, 3:].sum() == 0


def test_targets_mark_activities_and_visible_effects() -> None:
    box = Box(0.30, 0.40, 0.35, 0.60)
    runner = ActorState(1, ActorKind.PERSON, "blue", box, 1.0, (0.3, 0.0))
    lying = replace(runner, velocity=(0.0, 0.0), lying=True)
    fire = EffectState(EffectKind.FIRE, Box(0.5, 0.0, 1.0, 0.5), 1.0)
    for actor, expected in ((runner, [1, 2]), (lying, [3])):
        motion = cell_targets(GroundTruth(0.0, (actor,)), (6, 8))[
            3, 2, FIRST_MOTION_CHANNEL:FIRST_EFFECT_CHANNEL
        ]
        assert np.flatnonzero(motion).tolist() == expected
    for effect, count in ((fire, 3 * 4), (replace(fire, strength=0.5), 0)):
        effects = cell_targets(GroundTruth(0.0, (), (effect,)), (6, 8))[..., FIRST_EFFECT_CHANNEL:]
        assert effects.sum() == effects[:3, 4:, EFFECT_KINDS.index(EffectKind.FIRE)].sum() == count


def test_filmed_clips_have_the_format_of_drawn_clips() -> None:
    clips = filmed_clips("yard", 3, seconds=4, slots=2, grid=(6, 8))
    assert len(clips) == 2
    for clip in clips:
        assert clip.frames.shape == (4, 96, 128, 3)
        assert label_window(clip.window)
        assert np.diff(clip.times) == pytest.approx([0.5] * 3)
