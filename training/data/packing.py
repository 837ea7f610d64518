"""Windows and their questions as one batch of sequences.

All questions of a window stand behind it side by side: each sees the window and itself alone, and
each starts at the position where a single one would. So a window is paid for once, and the model
learns exactly what it is asked in use: one question after the window.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.models.prompt import PromptLayout, Tokens
from codecsight.world.labels.questions import (
    WORDINGS,
    LabelledQuestion,
    label_window,
    topic_question,
)
from training.data.clips import Clip, question_weight
from training.data.targets import cell_targets
from training.recipe import CELL, DEFAULT_WEIGHTS, FRAMES, QuestionWeights

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one length and grid.

    `cells` is uint8 [windows * slots * cells, frames, 3, cell, cell]. `ids`, `segment_ids` and
    `labels` are [windows, length]: tokens, the question each belongs to (0 the window, -1
    padding), and the next token to predict (mostly IGNORED). `positions` is [3, windows, length].
    `dense` is float32 [windows, slots, rows, cols, channels]. `questions` lists the questions,
    window by window; each has `answer_lengths` labels: its answer's tokens and the end token.
    """

    grid: tuple[int, int]
    slots: int
    cells: Tensor
    ids: Tensor
    segment_ids: Tensor
    positions: Tensor
    labels: Tensor
    dense: Tensor
    questions: tuple[LabelledQuestion, ...]
    answer_lengths: tuple[int, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same with its tensors on the device."""
        tensors: dict[str, Any] = {
            each.name: value.to(device)
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), Tensor)
        }
        return replace(self, **tensors)

    def attention_mask(self) -> Tensor:
        """Who may look at whom, bool [windows, 1, length, length]."""
        segment_ids = self.segment_ids
        same = segment_ids[:, :, None] == segment_ids[:, None, :]
        shared = (segment_ids == 0)[:, None, :]
        earlier = torch.ones_like(same[0]).tril()
        return ((same | shared) & earlier)[:, None]


class Packer:
    """Makes batches; a window is asked at most `asks` questions and `per_slot` for each slot,
    each as likely as its `weights`.
    """

    def __init__(
        self,
        layout: PromptLayout,
        grid: tuple[int, int],
        max_questions: int,
        max_per_slot: int = 0,
        weights: QuestionWeights = DEFAULT_WEIGHTS,
    ) -> None:
        self._layout, self._grid, self._odds = layout, grid, weights
        self._max_questions, self._max_per_slot = max_questions, max_per_slot
        self._question = lru_cache(maxsize=None)(layout.question)
        self._answer = lru_cache(maxsize=4096)(layout.encode)
        self._kept = np.ones(grid, np.bool_)
        (self._end,) = layout.encode("<|im_end|>")

    def pack(
        self,
        clips: Sequence[Clip],
        rng: random.Random,
        asked: Sequence[Sequence[LabelledQuestion]] | None = None,
    ) -> Batch:
        """One batch of windows that all have the same number of slots, and what is `asked` of each:
        any of its own questions unless given.
        """
        most = self._max_questions + self._max_per_slot * clips[0].slots
        asked = asked or [sample_questions(clip, rng, most, self._odds) for clip in clips]
        rows = [self._row(*pair, rng) for pair in zip(clips, asked, strict=True)]
        frames = np.stack([clip.frames for clip in clips])
        dense = [
            [cell_targets(moment, self._grid) for moment in clip.window[FRAMES - 1 :: FRAMES]]
            for clip in clips
        ]
        every = tuple(item for items in asked for item in items)
        return Batch(
            self._grid,
            clips[0].slots,
            torch.from_numpy(cut_cells(frames.reshape(-1, FRAMES, *frames.shape[2:]))),
            _padded([row[0].ids for row in rows], 0),
            _padded([row[1] for row in rows], -1),
            _padded([row[0].positions.T for row in rows], 0).permute(2, 0, 1),
            _padded([row[2] for row in rows], IGNORED),
            torch.from_numpy(np.array(dense)),
            every,
            tuple(len(self._answer(item.answer)) + 1 for item in every),
        )

    def window(self, times: Sequence[float]) -> Tokens:
        """The prefix and the slots of whole pictures sampled at `times`."""
        runs, start = [self._layout.prefix], self._layout.prefix.extent
        for index in range(0, len(times), FRAMES):
            stamp = sum(times[index : index + FRAMES]) / FRAMES
            run = self._layout.slot(stamp, self._kept)
            runs.append(run.shifted(start))
            start += run.extent
        joined = Tokens.join(runs)
        return Tokens(joined.ids, joined.positions, joined.visual, start)

    def _row(
        self, clip: Clip, asked: Sequence[LabelledQuestion], rng: random.Random
    ) -> tuple[Tokens, Tensor, Tensor]:
        """The tokens of a window and its questions, whose each is, and what is to be said."""
        window = self.window(clip.times)
        runs = [window]
        owners = [torch.zeros(len(window), dtype=torch.long)]
        labels = [torch.full((len(window),), IGNORED)]
        for number, item in enumerate(asked, start=1):
            wording = rng.randrange(len(WORDINGS[item.topic]))
            text = self._question(topic_question(item.topic, wording).text)
            answer = self._answer(item.answer)
            run = Tokens.join([text, Tokens.text(answer).shifted(text.extent)])
            runs.append(run.shifted(window.extent))
            owners.append(torch.full((len(run),), number))
            labels.append(torch.full((len(run),), IGNORED))
            labels[-1][-len(answer) - 1 :] = torch.tensor([*answer, self._end])
        return Tokens.join(runs), torch.cat(owners), torch.cat(labels)


def sample_questions(
    clip: Clip, rng: random.Random, most: int, weights: QuestionWeights = DEFAULT_WEIGHTS
) -> list[LabelledQuestion]:
    """Up to `most` of the window's questions; the rarer the answer, the likelier."""
    weighed = [
        (rng.random() ** (1 / question_weight(a, weights)), a) for a in label_window(clip.window)
    ]
    return [a for _, a in sorted(weighed, key=lambda pair: -pair[0])[:most]]


def cut_cells(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Slots [n, 2, h, w, 3] as cells, [n * rows * cols, 2, 3, cell, cell], row by row."""
    slots, samples, high, wide, _ = frames.shape
    rows, cols = high // CELL, wide // CELL
    split = frames.reshape(slots, samples, rows, CELL, cols, CELL, 3)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 6, 3, 5)).reshape(
        -1, samples, 3, CELL, CELL
    )


def _padded(rows: Sequence[Tensor], fill: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)
