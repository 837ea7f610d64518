"""The order of tokens in a model's sequence, and where each of them stands.

A sequence is: what the chat template says before a video (the prefix), then per slot
`<12.5 seconds><|vision_start|>CELLS<|vision_end|>`, then the question and what the template says
after it. Time stamps are seconds of the stream and grow for as long as it lives.

Positions have three axes (time, row, column). They are those of transformers' own
`Qwen3VLModel.get_rope_index`: text counts up on all axes alike; the cells of a slot whose first
position is p stand at (p, p + row, p + column); the text after them goes on at
p + max(rows, columns). A pruned cell leaves its place empty, so nothing else moves.
"""

from collections.abc import Sequence
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
    bool [n] (which of them are cells). The next run starts `extent` positions after this one.
    """

    ids: Tensor
    positions: Tensor
    visual: Tensor
    extent: int

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, start: int) -> "Tokens":
        """The same run, moved by `start` on every axis."""
        return replace(self, positions=self.positions + start)

    def pick(self, which: NDArray[Any]) -> "Tokens":
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


class PromptLayout:
    """Turns a chat template, slots and questions into `Tokens` that each start at 0."""

    def __init__(self, tokenizer: Any, vision_start: int, cell: int, vision_end: int) -> None:
        self._tokenizer = tokenizer
        self._vision_start, self._cell, self._vision_end = vision_start, cell, vision_end
        before, self._between, self._after = split_chat_template(
            tokenizer, *tokenizer.convert_ids_to_tokens([vision_start, cell, vision_end])
        )
        self.prefix = Tokens.text(self.encode(before))
        self._stamp = lru_cache(maxsize=4096)(self.encode)  # streams share the moments they show

    def slot(self, time: float, kept: NDArray[np.bool_]) -> Tokens:
        """One slot: its stamp in seconds of the stream, and a token per cell that `kept`
        ([rows, cols]) holds, row by row.
        """
        opening = [*self._stamp(f"<{time:.1f} seconds>"), self._vision_start]
        text = Tokens.text(opening)
        cells = np.argwhere(kept)
        places = torch.from_numpy(np.pad(cells, ((0, 0), (1, 0))).T) + text.extent
        visual = Tokens(
            ids=torch.full((len(cells),), self._cell),
            positions=places,
            visual=torch.ones(len(cells), dtype=torch.bool),
            extent=max(kept.shape),
        )
        closing = text.extent + visual.extent
        run = Tokens.join([text, visual, Tokens.text([self._vision_end]).at(closing)])
        return replace(run, extent=closing + 1)

    def question(self, text: str) -> Tokens:
        """The question and the template's tail, up to where the answer begins. Special tokens
        spelled out in the question are taken as plain text.
        """
        asked = self.encode(text, split_special_tokens=True)
        return Tokens.text([*self.encode(self._between), *asked, *self.encode(self._after)])

    def encode(self, text: str, *, split_special_tokens: bool = False) -> list[int]:
        """Token ids of `text`, with nothing added."""
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=split_special_tokens
        )["input_ids"]
        return ids


def split_chat_template(
    tokenizer: Any, vision_start: str, cell: str, vision_end: str
) -> tuple[str, str, str]:
    """The chat template's text before a video, between it and the question, and after that.

    Raises ModelError where the tokenizer has no chat template or the template shows no video.
    """
    if not tokenizer.chat_template:
        raise ModelError(f"{tokenizer.name_or_path}: the tokenizer has no chat template")
    content = [{"type": "video"}, {"type": "text", "text": _QUESTION_MARKER}]
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    video = f"{vision_start}{cell}{vision_end}"
    before, found, rest = rendered.partition(video if video in rendered else cell)
    between, asked, after = rest.partition(_QUESTION_MARKER)
    if not found or not asked:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template does not show a video and then the "
            f"question; it renders {rendered!r}"
        )
    return before, between, after
