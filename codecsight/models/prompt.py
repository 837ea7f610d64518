"""The order of tokens in a model's sequence, and where each of them stands.

A sequence is: what the chat template says before a video (the prefix), then per slot what its
family says around a picture (Qwen3-VL: `<12.5 seconds><|vision_start|>CELLS<|vision_end|>`), then
the question and what the template says after it. Times are seconds of the stream and grow for as
long as it lives.

Positions have three axes (time, row, column); models with a single axis read the first. Text
counts up on all axes alike. Cells that count from p stand, `in_grid` as Qwen's multimodal rotary
embedding has it, at (p, p + row, p + column), and the text after them goes on at
p + max(rows, columns); `in_line`, as in models that know order alone, each takes the next position.
A pruned cell leaves its place empty, so nothing else moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.models.errors import ModelError

_QUESTION_MARKER = "QUESTION-GOES-HERE"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A run of the sequence, on the CPU: `ids` int64 [n], `positions` int64 [3, n] and `visual`
    bool [n] (which of them are cells). The next run starts `extent` positions after this one, and
    its cells, if it may hold any, count from `cell_offset` positions after its start.
    """

    ids: Tensor
    positions: Tensor
    visual: Tensor
    extent: int
    cell_offset: int = 0

    def __len__(self) -> int:
        return self.ids.numel()

    def shifted(self, start: int) -> "Tokens":
        """The same run, moved by `start` on every axis."""
        return replace(self, positions=self.positions + start)

    def select(self, which: NDArray[Any]) -> "Tokens":
        """Only these tokens (a mask or indices), each where it stood."""
        index = torch.from_numpy(which)
        return replace(
            self,
            ids=self.ids[index],
            positions=self.positions[:, index],
            visual=self.visual[index],
        )

    @staticmethod
    def text(ids: Sequence[int]) -> "Tokens":
        """A run of plain text, counting from 0 on all axes."""
        return Tokens(
            ids=torch.tensor(ids, dtype=torch.long),
            positions=torch.arange(len(ids)).expand(3, -1),
            visual=torch.zeros(len(ids), dtype=torch.bool),
            extent=len(ids),
        )

    @staticmethod
    def join(runs: Sequence["Tokens"]) -> "Tokens":
        """Runs that already stand at their places, as one; its `extent` has no meaning."""
        return Tokens(
            ids=torch.cat([run.ids for run in runs]),
            positions=torch.cat([run.positions for run in runs], dim=1),
            visual=torch.cat([run.visual for run in runs]),
            extent=0,
        )


Spread = Callable[[NDArray[np.bool_]], tuple[NDArray[np.int64], int]]
"""Where kept cells (bool [rows, cols]) stand: positions [3, kept], and how many all would take."""


def in_grid(kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Rows and columns on axes of their own."""
    rows, cols = kept.nonzero()
    return np.stack([np.zeros_like(rows), rows, cols]), max(kept.shape)


def in_line(kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """One after another, row by row."""
    return np.tile(np.flatnonzero(kept), (3, 1)), kept.size


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How a family writes a stream: per slot what `opening` makes of its time in seconds, a token
    `cell` for each cell, and `closing`. A chat template (the tokenizer's own, or `template`) shows
    one of `videos` in place of them all; `intro` goes before the first, `outro` after the last. An
    answer begins with `lead`.
    """

    cell: str
    opening: Callable[[float], str]
    closing: str
    videos: tuple[str, ...]
    spread: Spread
    template: str | None = None
    intro: str = ""
    outro: str = ""
    lead: str = ""


class PromptLayout:
    """Turns a chat template, slots and questions into `Tokens` that each start at 0."""

    def __init__(self, tokenizer: Any, wording: PromptFormat) -> None:
        self._tokenizer, self._prompt_format = tokenizer, wording
        before, between, self._after = split_chat_template(
            tokenizer, wording.videos, wording.template
        )
        # What ends every slot, the last one too, needn't be said again.
        said = wording.closing[len(wording.closing.rstrip()) :]
        self._between = (wording.outro + between).removeprefix(said)
        self.prefix = Tokens.text(self.encode(before + wording.intro))
        self._said = lru_cache(maxsize=4096)(self.encode)  # streams share the moments they show
        self._closing = Tokens.text(self.encode(wording.closing))
        self._cell = tokenizer.convert_tokens_to_ids(wording.cell)

    def slot(self, time: float, kept: NDArray[np.bool_]) -> Tokens:
        """One slot at `time` seconds of the stream, with a token per cell that `kept`
        ([rows, cols]) holds, row by row.
        """
        places, extent = self._prompt_format.spread(kept)
        opening, closing = Tokens.text(self._said(self._prompt_format.opening(time))), self._closing
        start, end = opening.extent, opening.extent + extent
        cells = Tokens(
            ids=torch.full((places.shape[1],), self._cell),
            positions=torch.from_numpy(places) + start,
            visual=torch.ones(places.shape[1], dtype=torch.bool),
            extent=extent,
        )
        run = Tokens.join([opening, cells, closing.shifted(end)])
        return replace(run, extent=end + closing.extent, cell_offset=start)

    def question(self, text: str) -> Tokens:
        """The question and the template's tail, up to where the answer begins. Special tokens
        spelled out in the question are taken as plain text.
        """
        asked = self.encode(text, split_special_tokens=True)
        return Tokens.text([*self.encode(self._between), *asked, *self.encode(self._after)])

    def answer(self, text: str) -> list[int]:
        """Token ids of `text` where it begins an answer; special tokens in it are plain text."""
        return self.encode(self._prompt_format.lead + text, split_special_tokens=True)

    def encode(self, text: str, *, split_special_tokens: bool = False) -> list[int]:
        """Token ids of `text`, with nothing added."""
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=split_special_tokens
        )["input_ids"]
        return ids


def split_chat_template(
    tokenizer: Any, videos: Sequence[str], template: str | None = None
) -> tuple[str, str, str]:
    """The chat template's text before a video (the first of `videos` that it shows), between it and
    the question, and after that. The template is the tokenizer's own where none is given.

    Raises ModelError where the tokenizer has no chat template or the template shows no video.
    """
    if not (template or tokenizer.chat_template):
        raise ModelError(f"{tokenizer.name_or_path}: the tokenizer has no chat template")
    content = [{"type": "video"}, {"type": "text", "text": _QUESTION_MARKER}]
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        chat_template=template,
        tokenize=False,
        add_generation_prompt=True,
    )
    video = next((video for video in videos if video in rendered), videos[0])
    before, found, rest = rendered.partition(video)
    between, asked, after = rest.partition(_QUESTION_MARKER)
    if not found or not asked:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template does not show a video and then the "
            f"question; it renders {rendered!r}"
        )
    return before, between, after
