"""Token order and positions of a model's sequence.

A sequence is: the chat template's text before a video (the prefix), then for each slot the family's
text around its cells (Qwen3-VL: `<12.5 seconds><|vision_start|>CELLS<|vision_end|>`), then the
question and the template's text after it. Times are seconds of the stream; they grow as long as the
stream lives.

Positions have three axes (time, row, column); models with one axis use the first. Text counts up on
all axes alike. A slot whose cells start at position p places them in one of two ways:
`grid_positions`, as in Qwen's multimodal rotary embedding, at (p, p + row, p + column), with the
next text at p + max(rows, columns); or `sequential_positions`, one position per cell. A pruned cell
leaves a gap, so no other token moves. A slot of 2 x 3 cells, of which three are kept, at p = 5:

    kept    [[1, 0, 1],    grid_positions        [[5, 5, 5], [5, 5, 6], [5, 7, 7]], next text at 8
             [0, 0, 1]]    sequential_positions  [[5, 7, 10]] on all axes, next text at 11
"""

import threading
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
    """A part of the sequence, on the CPU.

    `ids` is int64 [n], `positions` int64 [3, n] and `visual` bool [n] (True for cells). The next
    part starts `extent` positions after this one. Positions of its cells, if it may have any, count
    from `cell_offset` positions after its start.
    """

    ids: Tensor
    positions: Tensor
    visual: Tensor
    extent: int
    cell_offset: int = 0

    def __len__(self) -> int:
        return self.ids.numel()

    def shifted(self, start: int) -> "Tokens":
        """The same tokens with `start` added to their positions on every axis."""
        return replace(self, positions=self.positions + start)

    def select(self, which: NDArray[Any]) -> "Tokens":
        """Some of the tokens (given as a mask or as indices), at unchanged positions."""
        index = torch.from_numpy(which)
        return replace(
            self,
            ids=self.ids[index],
            positions=self.positions[:, index],
            visual=self.visual[index],
        )

    @staticmethod
    def text(ids: Sequence[int]) -> "Tokens":
        """Plain text, with positions from 0 on all axes."""
        return Tokens(
            ids=torch.tensor(ids, dtype=torch.long),
            positions=torch.arange(len(ids)).expand(3, -1),
            visual=torch.zeros(len(ids), dtype=torch.bool),
            extent=len(ids),
        )

    @staticmethod
    def join(parts: Sequence["Tokens"]) -> "Tokens":
        """Parts that have their final positions, as one; its `extent` has no meaning."""
        return Tokens(
            ids=torch.cat([part.ids for part in parts]),
            positions=torch.cat([part.positions for part in parts], dim=1),
            visual=torch.cat([part.visual for part in parts]),
            extent=0,
        )


CellPositions = Callable[[NDArray[np.bool_]], tuple[NDArray[np.int64], int]]
"""Maps the mask of kept cells (bool [rows, cols]) to their positions [3, kept], and to the extent
of all cells.
"""


def grid_positions(kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Rows and columns on axes of their own."""
    rows, cols = kept.nonzero()
    return np.stack([np.zeros_like(rows), rows, cols]), max(kept.shape)


def sequential_positions(kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """One position per cell, row by row, the same on all axes."""
    return np.tile(np.flatnonzero(kept), (3, 1)), kept.size


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How a family writes a stream as text.

    A slot is `opening` of its time in seconds, one `cell_token` per cell, and `closing`. The chat
    template (the tokenizer's own, or `chat_template`) is rendered with a single video, and one of
    `video_placeholders` marks where all slots go. `intro` comes before the first slot, `outro`
    after the last. An answer begins with `answer_prefix`.
    """

    cell_token: str
    opening: Callable[[float], str]
    closing: str
    video_placeholders: tuple[str, ...]
    cell_positions: CellPositions
    chat_template: str | None = None
    intro: str = ""
    outro: str = ""
    answer_prefix: str = ""


class PromptLayout:
    """Builds the parts of a sequence as `Tokens` whose positions start at 0."""

    def __init__(self, tokenizer: Any, prompt_format: PromptFormat) -> None:
        self._tokenizer, self._format = tokenizer, prompt_format
        self._lock = threading.Lock()
        before, between, self._after = split_chat_template(
            tokenizer, prompt_format.video_placeholders, prompt_format.chat_template
        )
        # Whitespace that ends every slot also ends the last one: don't repeat it after the slots.
        closing = prompt_format.closing
        trailing = closing[len(closing.rstrip()) :]
        self._between = (prompt_format.outro + between).removeprefix(trailing)
        self.prefix = Tokens.text(self.encode(before + prompt_format.intro))
        # Streams share the moments they show, so encoded openings are cached.
        self._encode_opening = lru_cache(maxsize=4096)(self.encode)
        self._closing = Tokens.text(self.encode(closing))
        self._cell_token_id = tokenizer.convert_tokens_to_ids(prompt_format.cell_token)

    def slot(self, time: float, kept: NDArray[np.bool_]) -> Tokens:
        """The slot at `time` seconds of the stream, with one token for each cell in the mask `kept`
        (bool [rows, cols]), row by row.
        """
        positions, extent = self._format.cell_positions(kept)
        opening = Tokens.text(self._encode_opening(self._format.opening(time)))
        start, end = opening.extent, opening.extent + extent
        cells = Tokens(
            ids=torch.full((positions.shape[1],), self._cell_token_id),
            positions=torch.from_numpy(positions) + start,
            visual=torch.ones(positions.shape[1], dtype=torch.bool),
            extent=extent,
        )
        slot = Tokens.join([opening, cells, self._closing.shifted(end)])
        return replace(slot, extent=end + self._closing.extent, cell_offset=start)

    def question(self, text: str) -> Tokens:
        """The question and the rest of the template, up to the start of the answer. Special tokens
        written out in the question are encoded as plain text.
        """
        question = self.encode(text, split_special_tokens=True)
        return Tokens.text([*self.encode(self._between), *question, *self.encode(self._after)])

    def answer(self, text: str) -> list[int]:
        """Token ids of `text` at the start of an answer. Special tokens in it are encoded as plain
        text.
        """
        return self.encode(self._format.answer_prefix + text, split_special_tokens=True)

    def encode(self, text: str, *, split_special_tokens: bool = False) -> list[int]:
        """Token ids of `text`, without added special tokens. Thread-safe."""
        with self._lock:  # a tokenizer's settings must not change while another thread encodes
            ids: list[int] = self._tokenizer(
                text, add_special_tokens=False, split_special_tokens=split_special_tokens
            )["input_ids"]
        return ids


def split_chat_template(
    tokenizer: Any, video_placeholders: Sequence[str], chat_template: str | None = None
) -> tuple[str, str, str]:
    """The chat template's text before a video, between the video and the question, and after it.

    The video is the first of `video_placeholders` found in the rendered template, which is the
    tokenizer's own if none is given. Raises ModelError for a tokenizer without a chat template and
    for a template without a video before the question.
    """
    if not (chat_template or tokenizer.chat_template):
        raise ModelError(f"{tokenizer.name_or_path}: the tokenizer has no chat template")
    content = [{"type": "video"}, {"type": "text", "text": _QUESTION_MARKER}]
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        chat_template=chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )
    found = (each for each in video_placeholders if each in rendered)
    before, video, rest = rendered.partition(next(found, video_placeholders[0]))
    between, question, after = rest.partition(_QUESTION_MARKER)
    if not video or not question:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template has no video before the question; it "
            f"renders {rendered!r}"
        )
    return before, between, after
