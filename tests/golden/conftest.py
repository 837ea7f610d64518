"""The naive twin: transformers' own forward, from whole pictures, with nothing of the engine.

Pruning is done here by masking: every picture is encoded and every token is present at the place
transformers gives it, and what was dropped is hidden from all attention. Leaving it out, as the
engine does, must come to the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AttentionInterface

from codecsight.change.grid import PatchGrid
from codecsight.change.slot import Reason, Slot, SlotKind
from codecsight.models import DEFAULT_MODEL, load_model
from codecsight.models.qwen3_vl import Qwen3VL
from codecsight.models.tiny import random_model


@dataclass(frozen=True)
class Look:
    """A slot before pruning: frames uint8 [frames, 3, height, width], and what to keep of it."""

    times: tuple[float, ...]
    frames: NDArray[np.uint8]
    kept: NDArray[np.bool_]

    def slot(self, cell: int) -> Slot:
        rows, cols = self.kept.shape
        frames = len(self.frames)
        cells = self.frames.reshape(frames, 3, rows, cell, cols, cell).transpose(2, 4, 0, 1, 3, 5)
        whole = self.kept.all()
        return Slot(
            kind=SlotKind.ANCHOR if whole else SlotKind.DELTA,
            kept=self.kept,
            patches=cells[self.kept],
            reasons=np.full(self.kept.sum(), Reason.ANCHOR if whole else Reason.PIXELS, np.uint8),
            times=self.times,
            captured=self.times[-1] + 1_000_000.0,
        )


class NaiveTwin:
    def __init__(self, model: Qwen3VL) -> None:
        self.model, self.network = model, model.network
        self.vision = model.network.config.vision_config

    @torch.inference_mode()
    def logits(self, looks: Sequence[Look], question: str, answer: str = "") -> Tensor:
        """Logits [vocab] after the question (and the beginning of an answer)."""
        ids = self._ids(looks, question, answer)
        types = (ids == self.network.config.video_token_id).int() * 2
        pixels = torch.cat([self._pixels(look.frames) for look in looks])
        height, width = (side // self.vision.patch_size for side in looks[0].frames.shape[2:])
        grid = torch.tensor([[len(looks), height, width]])
        if all(look.kept.all() for look in looks):
            return self.network(
                input_ids=ids,
                pixel_values_videos=pixels,
                video_grid_thw=grid,
                mm_token_type_ids=types,
            ).logits[0, -1]
        positions, _ = self.network.model.get_rope_index(ids, types, video_grid_thw=grid)
        present = torch.ones(ids.shape[1], dtype=torch.bool)
        kept = np.concatenate([look.kept.reshape(-1) for look in looks])
        present[ids[0] == self.network.config.video_token_id] = torch.from_numpy(kept)
        mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril() & present
        mask |= torch.eye(ids.shape[1], dtype=torch.bool)  # no row may be empty
        return self.network(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask[None, None],
            mm_encoder_outputs={"video": self._seen(looks, grid)},
        ).logits[0, -1]

    def _ids(self, looks: Sequence[Look], question: str, answer: str) -> Tensor:
        text = "<|im_start|>user\n"
        for look in looks:
            stamp = sum(look.times) / len(look.times)
            text += f"<{stamp:.1f} seconds><|vision_start|>"
            text += "<|video_pad|>" * look.kept.size + "<|vision_end|>"
        text += f"{question}<|im_end|>\n<|im_start|>assistant\n{answer}"
        return torch.tensor([self.model.tokenizer(text, add_special_tokens=False)["input_ids"]])

    def _pixels(self, frames: NDArray[np.uint8]) -> Tensor:
        """As transformers' Qwen video processors order them."""
        patch, merge = self.vision.patch_size, self.vision.spatial_merge_size
        count, channels, height, width = frames.shape
        scaled = (torch.from_numpy(frames).float() / 255 - 0.5) / 0.5
        blocks = scaled.view(
            1, count, channels,
            height // patch // merge, merge, patch, width // patch // merge, merge, patch,
        )  # fmt: skip
        rows = height // patch * (width // patch)
        return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(rows, -1)

    def _seen(self, looks: Sequence[Look], grid: Tensor) -> object:
        """The ViT over whole pictures in which the dropped patches are hidden as keys."""
        merged = self.vision.spatial_merge_size**2
        one = torch.tensor([[1, *grid[0, 1:].tolist()]])
        seen = []
        for look in looks:
            keys = torch.from_numpy(np.repeat(look.kept.reshape(-1), merged))
            with hidden_keys(self.network.model.visual, keys):
                seen.append(self.network.model.visual(self._pixels(look.frames), grid_thw=one))
        together = seen[0]
        levels = range(len(together.deepstack_features))
        deepstack = [[part.deepstack_features[level] for part in seen] for level in levels]
        together.pooler_output = [part.pooler_output for part in seen]
        together.deepstack_features = deepstack
        return together


class hidden_keys:  # noqa: N801 - a context manager
    """While open, a module's attention sees only the keys marked True (all where none is)."""

    def __init__(self, module: torch.nn.Module, keys: Tensor) -> None:
        self.config, self.keys = module.config, keys if keys.any() else torch.ones_like(keys)

    def __enter__(self) -> None:
        self.before = self.config._attn_implementation
        AttentionInterface.register("hidden_keys", self._attend)
        self.config._attn_implementation = "hidden_keys"

    def __exit__(self, *_: object) -> None:
        self.config._attn_implementation = self.before

    def _attend(
        self, _module: object, query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, None]:
        weights = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        weights = weights.masked_fill(~self.keys, float("-inf")).softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), None


@pytest.fixture(scope="session", params=["random", "default"])
def model(request: pytest.FixtureRequest) -> Qwen3VL:
    if request.param == "random":
        return random_model(seed=3)
    if not DEFAULT_MODEL.is_dir():
        pytest.skip("the default checkpoint is not there")
    return load_model(DEFAULT_MODEL, device="cpu")


@pytest.fixture(scope="session")
def twin(model: Qwen3VL) -> NaiveTwin:
    return NaiveTwin(model)


@pytest.fixture(scope="session")
def grid(model: Qwen3VL) -> PatchGrid:
    return PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)


Film = Callable[..., list[Look]]


@pytest.fixture(scope="session")
def film(grid: PatchGrid) -> Film:
    """A made-up stream: the first slot whole, of the others a share `keep` of the cells."""

    def make(slots: int, keep: float = 1.0, seed: int = 0, start: float = 0.0) -> list[Look]:
        random = np.random.default_rng(seed)
        frames = grid.spec.frames
        looks = []
        for index in range(slots):
            shape = (frames, 3, grid.height, grid.width)
            kept = random.random((grid.rows, grid.cols)) < (keep if index else 1.0)
            times = tuple(start + index + step / 2 for step in range(frames))
            looks.append(Look(times, random.integers(0, 256, shape, dtype=np.uint8), kept))
        return looks

    return make


class Spy:
    """Remembers the logits of the model's last call."""

    def __init__(self, model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> None:
        forward = model.forward

        def remember(*args: object, **kwargs: object) -> Tensor:
            self.logits = forward(*args, **kwargs)
            return self.logits

        monkeypatch.setattr(model, "forward", remember)


@pytest.fixture
def spy(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spy]:
    return Spy(model, monkeypatch)
