"""Endless stream of training batches, generated in a worker process."""

import random
from collections.abc import Iterator

from torch.utils.data import DataLoader, IterableDataset

from codecsight.models.prompt import PromptLayout
from training.data.clips import draw_clips
from training.data.packing import Batch, Packer
from training.recipe import GRIDS, MAX_QUESTIONS, MAX_QUESTIONS_PER_SLOT, Stage


class TrainingBatches(IterableDataset[Batch]):
    """A stage's batches from number `first` on. Batch n depends only on the stage and the seed."""

    def __init__(self, layout: PromptLayout, stage: Stage, first: int, seed: int) -> None:
        self._layout, self._stage, self._first, self._seed = layout, stage, first, seed

    def __iter__(self) -> Iterator[Batch]:
        lengths, weights, number = self._stage.lengths, self._stage.weights, self._first
        packers = {
            grid: Packer(self._layout, grid, MAX_QUESTIONS, MAX_QUESTIONS_PER_SLOT, weights)
            for grid in GRIDS
        }
        while True:
            rng = random.Random(f"{self._seed}/{self._stage.name}/{number}")
            grid = rng.choices(list(GRIDS), list(GRIDS.values()))[0]
            slots = rng.choices(list(lengths), list(lengths.values()))[0]
            count = max(1, self._stage.slots // slots)
            clips = draw_clips(rng, count, slots, grid, weights=weights)
            yield packers[grid].pack(clips, rng)
            number += 1


def batch_stream(layout: PromptLayout, stage: Stage, first: int, seed: int) -> Iterator[Batch]:
    """The batches, prefetched by one worker process."""
    batches = TrainingBatches(layout, stage, first, seed)
    return iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=8))
