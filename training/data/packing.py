"""Packs windows and their questions into batches of sequences.

All questions of a window follow it in one sequence. By the attention mask each question attends
only to the window and to itself, and each starts at the position where a single one would. So a
window is computed once for all its questions, and the model learns exactly the sequence of
inference: one question after the window.
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
        """Copy the batch to the device."""
        tensors: dict[str, Any] = {
            each.name: value.to(device)
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), Tensor)
        }
        return replace(self, **tensors)

    def attention_mask(self) -> Tensor:
        """Allowed (query, key) pairs, bool [windows, 1, length, length]."""
        segment_ids = self.segment_ids
        same_segment = segment_ids[:, :, None] == segment_ids[:, None, :]
        window_keys = (segment_ids == 0)[:, None, :]
        causal = torch.ones_like(same_segment[0]).tril()
        return ((same_segment | window_keys) & causal)[:, None]


class Packer:
    """Packs clips into batches.

    A window gets at most `max_questions` questions plus `max_per_slot` for each of its slots, drawn
    with the probabilities of `weights`.
    """

    def __init__(
        self,
        layout: PromptLayout,
        grid: tuple[int, int],
        max_questions: int,
        max_per_slot: int = 0,
        weights: QuestionWeights = DEFAULT_WEIGHTS,
    ) -> None:
        self._layout, self._grid, self._weights = layout, grid, weights
        self._max_questions, self._max_per_slot = max_questions, max_per_slot
        self._question = lru_cache(maxsize=None)(layout.question)
        self._answer = lru_cache(maxsize=4096)(layout.encode)
        self._kept = np.ones(grid, np.bool_)
        (self._end,) = layout.encode("<|im_end|>")

    def pack(
        self,
        clips: Sequence[Clip],
        rng: random.Random,
        questions: Sequence[Sequence[LabelledQuestion]] | None = None,
    ) -> Batch:
        """Pack windows of the same number of slots into one batch.

        `questions` gives the questions of each window. By default they are drawn from all
        questions that the window's ground truth can answer.
        """
        limit = self._max_questions + self._max_per_slot * clips[0].slots
        questions = questions or [
            sample_questions(clip, rng, limit, self._weights) for clip in clips
        ]
        rows = [self._row(*pair, rng) for pair in zip(clips, questions, strict=True)]
        frames = np.stack([clip.frames for clip in clips])
        dense = [
            [cell_targets(sample, self._grid) for sample in clip.window[FRAMES - 1 :: FRAMES]]
            for clip in clips
        ]
        flat = tuple(item for items in questions for item in items)
        return Batch(
            self._grid,
            clips[0].slots,
            torch.from_numpy(cut_cells(frames.reshape(-1, FRAMES, *frames.shape[2:]))),
            _padded([row[0].ids for row in rows], 0),
            _padded([row[1] for row in rows], -1),
            _padded([row[0].positions.T for row in rows], 0).permute(2, 0, 1),
            _padded([row[2] for row in rows], IGNORED),
            torch.from_numpy(np.array(dense)),
            flat,
            tuple(len(self._answer(item.answer)) + 1 for item in flat),
        )

    def window(self, times: Sequence[float]) -> Tokens:
        """Tokens of the prompt prefix and of the dense slots sampled at `times`."""
        segments, start = [self._layout.prefix], self._layout.prefix.extent
        for index in range(0, len(times), FRAMES):
            stamp = sum(times[index : index + FRAMES]) / FRAMES
            slot = self._layout.slot(stamp, self._kept)
            segments.append(slot.shifted(start))
            start += slot.extent
        joined = Tokens.join(segments)
        return Tokens(joined.ids, joined.positions, joined.visual, start)

    def _row(
        self, clip: Clip, questions: Sequence[LabelledQuestion], rng: random.Random
    ) -> tuple[Tokens, Tensor, Tensor]:
        """Tokens, segment ids and labels of a window followed by its questions."""
        window = self.window(clip.times)
        segments = [window]
        segment_ids = [torch.zeros(len(window), dtype=torch.long)]
        labels = [torch.full((len(window),), IGNORED)]
        for number, item in enumerate(questions, start=1):
            wording = rng.randrange(len(WORDINGS[item.topic]))
            text = self._question(topic_question(item.topic, wording).text)
            answer = self._answer(item.answer)
            segment = Tokens.join([text, Tokens.text(answer).shifted(text.extent)])
            segments.append(segment.shifted(window.extent))
            segment_ids.append(torch.full((len(segment),), number))
            labels.append(torch.full((len(segment),), IGNORED))
            # Each label is the next token, so the labels start one token before the answer.
            labels[-1][-len(answer) - 1 :] = torch.tensor([*answer, self._end])
        return Tokens.join(segments), torch.cat(segment_ids), torch.cat(labels)


def sample_questions(
    clip: Clip, rng: random.Random, max_questions: int, weights: QuestionWeights = DEFAULT_WEIGHTS
) -> list[LabelledQuestion]:
    """Draw up to `max_questions` of the window's questions without replacement, by weight.

    Efraimidis and Spirakis (2006): keep the largest keys u ** (1 / weight), u uniform.
    """
    keyed = [
        (rng.random() ** (1 / question_weight(a, weights)), a) for a in label_window(clip.window)
    ]
    return [a for _, a in sorted(keyed, key=lambda pair: -pair[0])[:max_questions]]


def cut_cells(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut slots [n, 2, h, w, 3] into cells [n * rows * cols, 2, 3, cell, cell], row by row."""
    slots, samples, height, width, _ = frames.shape
    rows, cols = height // CELL, width // CELL
    split = frames.reshape(slots, samples, rows, CELL, cols, CELL, 3)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 6, 3, 5)).reshape(
        -1, samples, 3, CELL, CELL
    )


def _padded(rows: Sequence[Tensor], fill: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)
