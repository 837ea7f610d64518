"""transformers' `generate` as a system of the density benchmark."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from benchmarks.density.systems import QUESTION, SlotAnswer, StatelessSystem, window_of
from codecsight.core.slot import Slot
from codecsight.engine.resources.flops import count_flops
from codecsight.engine.window import slot_time
from codecsight.models.families.qwen3_vl import Qwen3VL

Shape = tuple[int, int]
"""Tokens and patches of a window."""


class Generate(StatelessSystem):
    """transformers' own `generate` on each window, one token: what a user would write."""

    def __init__(self, model: Qwen3VL) -> None:
        super().__init__()
        self._model, self._tokens = model, 0
        self._calls: Counter[Shape] = Counter()
        self._examples: dict[Shape, dict[str, torch.Tensor]] = {}
        self._costs: dict[Shape, int] = {}

    @torch.inference_mode()
    def step(self) -> list[SlotAnswer]:
        """Answer the oldest waiting window."""
        stream, index = self._waiting.popleft()
        inputs = self._inputs(window_of(self._traces[stream], index))
        output = self._generate(inputs)
        text = self._model.detokenize(output[0, inputs["input_ids"].shape[1] :].tolist())
        length = inputs["input_ids"].shape[1]
        self._tokens = length
        shape = length, len(inputs["pixel_values_videos"])
        self._calls[shape] += 1
        self._examples[shape] = inputs
        return [(stream, index, int(text) if text.isdecimal() else text)]

    def _generate(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        output: torch.Tensor = self._model.network.generate(
            **inputs, max_new_tokens=1, do_sample=False
        )
        return output

    def _inputs(self, slots: Sequence[Slot]) -> dict[str, torch.Tensor]:
        model, tokenizer = self._model, self._model.tokenizer
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
        """Operations so far. One window of each shape is counted, outside the measured time."""
        for shape in self._calls.keys() - self._costs.keys():
            self._costs[shape] = count_flops(partial(self._generate, self._examples[shape]))
        return sum(calls * self._costs[shape] for shape, calls in self._calls.items())

    def kv_bytes(self) -> float:
        """Bytes of keys and values of one window."""
        shape = self._model.kv
        return 2 * self._tokens * shape.layers * shape.heads * shape.head_dim * shape.dtype.itemsize
