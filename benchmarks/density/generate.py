"""transformers alone."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from benchmarks.density.films import Film
from benchmarks.density.systems import QUESTION, Said, due, window_of
from codecsight.change.slot import Slot
from codecsight.engine.flops import counted
from codecsight.engine.window import slot_time
from codecsight.models.qwen3_vl import Qwen3VL

Shape = tuple[int, int]
"""Tokens and patches of a window."""


@dataclass(slots=True)
class Generate:
    """What a user would write: transformers' own `generate` on each window, one token."""

    model: Qwen3VL
    policy: str = "everything"
    films: dict[int, Film] = field(default_factory=dict)
    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    tokens: int = 0
    calls: Counter[Shape] = field(default_factory=Counter)
    examples: dict[Shape, dict[str, torch.Tensor]] = field(default_factory=dict)
    costs: dict[Shape, int] = field(default_factory=dict)

    def open(self, stream: int, film: Film) -> None:
        """A camera is there."""
        self.films[stream] = film

    def take(self, stream: int, index: int) -> None:
        """A stream's slot has come."""
        if due(index):
            self.waiting.append((stream, index))

    def ask(self, stream: int, index: int) -> None:
        """Answer out of turn."""
        self.waiting.append((stream, index))
        self.work()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.waiting)

    @torch.inference_mode()
    def work(self) -> list[Said]:
        """Do the next piece."""
        stream, index = self.waiting.popleft()
        inputs = self._inputs(window_of(self.films[stream], index))
        said = self._generate(inputs)
        text = self.model.text_of(said[0, inputs["input_ids"].shape[1] :].tolist())
        length = inputs["input_ids"].shape[1]
        self.tokens = length
        shape = length, len(inputs["pixel_values_videos"])
        self.calls[shape] += 1
        self.examples[shape] = inputs
        return [(stream, index, int(text) if text.isdecimal() else text)]

    def _generate(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        said: torch.Tensor = self.model.network.generate(
            **inputs, max_new_tokens=1, do_sample=False
        )
        return said

    def _inputs(self, slots: Sequence[Slot]) -> dict[str, torch.Tensor]:
        model, tokenizer = self.model, self.model.tokenizer
        rows, cols = slots[0].kept.shape
        video = "".join(
            f"<{slot_time(slot.times):.1f} seconds><|vision_start|>"
            + "<|video_pad|>" * slot.cell_count
            + "<|vision_end|>"
            for slot in slots
        )
        chat = [{"role": "user", "content": "VIDEO" + QUESTION.text}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text.replace("VIDEO", video), return_tensors="pt")["input_ids"]
        pixels = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
        grid = torch.tensor([[len(slots), rows * model.merge, cols * model.merge]])
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == model.network.config.video_token_id).int() * 2,
            "pixel_values_videos": model.patchify(pixels).to(model.kv.dtype),
            "video_grid_thw": grid,
        }
        return {name: each.to(model.kv.device) for name, each in inputs.items()}

    def flops(self) -> float:
        """Operations so far: a window of each shape is counted once, outside the measured time."""
        for shape in self.calls.keys() - self.costs.keys():
            self.costs[shape] = counted(partial(self._generate, self.examples[shape]))
        return sum(calls * self.costs[shape] for shape, calls in self.calls.items())

    def kv_bytes(self) -> float:
        """Keys and values held, per stream."""
        shape = self.model.kv
        return 2 * self.tokens * shape.layers * shape.heads * shape.head_dim * shape.dtype.itemsize
