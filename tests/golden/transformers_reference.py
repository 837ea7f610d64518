"""The naive twin: transformers' own forward, from whole pictures, with nothing of the engine.

Pruning is done here by masking: every picture is encoded and every token is present at the place
transformers gives it, and what was dropped is hidden from all attention. Leaving it out, as the
engine does, must come to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AttentionInterface
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.models.families.qwen3_vl import Qwen3VL


@dataclass(frozen=True)
class UnprunedSlot:
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
            capture_time=self.times[-1] + 1_000_000.0,
        )


class TransformersReference:
    def __init__(self, model: Qwen3VL) -> None:
        self.model, self.network = model, model.network
        self.vision = model.network.config.vision_config

    def logits(
        self,
        looks: Sequence[UnprunedSlot],
        question: str,
        answer: Sequence[int] = (),
        *,
        canvas: bool = False,
        last: int | None = None,
    ) -> Tensor:
        """Logits [vocab] after the question (and the beginning of an answer) about the `last`
        slots. With `canvas` the newest slot is whole, its cells as each was last seen.
        """
        with torch.inference_mode():
            window = list(looks[-last:] if last else looks)
            if not canvas and all(look.kept.all() for look in window):
                return self._plain(window, question, answer)
            seen = [self._see(look) for look in looks]
            if canvas:
                window[-1] = replace(window[-1], kept=np.ones_like(window[-1].kept))
                seen[-1] = newest([look.kept for look in looks], seen)
            return self._masked(window, seen[-len(window) :], question, answer)

    def _plain(self, looks: Sequence[UnprunedSlot], question: str, answer: Sequence[int]) -> Tensor:
        ids, types = self._ids(looks, question, answer)
        return self.network(
            input_ids=ids,
            pixel_values_videos=torch.cat([self._pixels(look.frames) for look in looks]),
            video_grid_thw=self._grid(looks),
            mm_token_type_ids=types,
        ).logits[0, -1]

    def _masked(
        self,
        looks: Sequence[UnprunedSlot],
        seen: Sequence[list[Tensor]],
        question: str,
        answer: Sequence[int],
    ) -> Tensor:
        ids, types = self._ids(looks, question, answer)
        positions, _ = self.network.model.get_rope_index(ids, types, None, self._grid(looks))
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        return self._run(ids, positions, causal & self._present(types, looks), seen)

    @torch.inference_mode()
    def logits_reused(
        self, looks: Sequence[UnprunedSlot], question: str, windows: Sequence[int]
    ) -> Tensor:
        """When nothing is ever computed twice: slot i has seen the slots from `windows[i]` on, and
        the question sees the last slot's window. One plain forward over all slots, with one copy
        of the prefix before each window.
        """
        ids, types = self._ids(looks, question, ())
        positions, _ = self.network.model.get_rope_index(ids, types, None, self._grid(looks))
        ends = (ids[0] == self.network.config.vision_end_token_id).long()
        slot = ends.cumsum(0) - ends  # of each token; the question counts as one more
        prefix = len(self.model.layout.prefix)
        slot[:prefix] = -1
        first = torch.tensor([*windows, windows[-1]])[slot]  # the oldest slot each token sees
        rows = torch.arange(len(slot))
        mask = (rows <= rows[:, None]) & ((slot >= first[:, None]) | (slot < 0)[:, None])
        for window in sorted(set(windows)):
            start = int((slot == window).nonzero()[0, 0])
            ids = torch.cat([ids, ids[:, :prefix]], dim=1)
            types = torch.cat([types, types[:, :prefix]], dim=1)
            shift = positions[:, :, start : start + 1] - prefix
            positions = torch.cat([positions, positions[:, :, :prefix] + shift], dim=2)
            sees_copy = ((first == window) & (slot >= 0))[:, None].expand(-1, prefix)
            mask = torch.block_diag(mask, torch.ones(prefix, prefix).tril()).bool()
            mask[: len(slot), -prefix:] = sees_copy
        seen = [self._see(look) for look in looks]
        masked = mask & self._present(types, looks)
        return self._run(ids, positions, masked, seen, read=len(slot) - 1)

    def _present(self, types: Tensor, looks: Sequence[UnprunedSlot]) -> Tensor:
        """Which tokens are no dropped cells."""
        present = torch.ones(types.shape[1], dtype=torch.bool)
        present[types[0] == 2] = torch.from_numpy(
            np.concatenate([look.kept.ravel() for look in looks])
        )
        return present

    def _run(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor,
        seen: Sequence[list[Tensor]],
        read: int = -1,
    ) -> Tensor:
        embeddings, *deepstack = (torch.cat(level) for level in zip(*seen, strict=True))
        video = BaseModelOutputWithDeepstackFeatures(
            pooler_output=[embeddings], deepstack_features=[[level] for level in deepstack]
        )
        mask = mask | torch.eye(len(mask), dtype=torch.bool)  # no row may be empty
        return self.network(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask[None, None],
            mm_encoder_outputs={"video": video},
        ).logits[0, read]

    def _grid(self, looks: Sequence[UnprunedSlot]) -> Tensor:
        height, width = looks[0].frames.shape[2:]
        patch = self.vision.patch_size
        return torch.tensor([[len(looks), height // patch, width // patch]])

    def _ids(
        self, looks: Sequence[UnprunedSlot], question: str, answer: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        text = "<|im_start|>user\n"
        for look in looks:
            stamp = sum(look.times) / len(look.times)
            text += f"<{stamp:.1f} seconds><|vision_start|>"
            text += "<|video_pad|>" * look.kept.size + "<|vision_end|>"
        text += f"{question}<|im_end|>\n<|im_start|>assistant\n"
        asked = self.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*asked, *answer]])
        return ids, (ids == self.network.config.video_token_id).int() * 2

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

    def _see(self, look: UnprunedSlot) -> list[Tensor]:
        """The ViT over the whole picture with the dropped patches hidden as keys: embeddings and
        deepstack levels, each [cells, d]; those of dropped cells mean nothing.
        """
        keys = torch.from_numpy(np.repeat(look.kept.ravel(), self.vision.spatial_merge_size**2))
        with hidden_keys(self.network.model.visual, keys):
            seen = self.network.model.visual(self._pixels(look.frames), grid_thw=self._grid([look]))
        return [seen.pooler_output, *seen.deepstack_features]


def newest(kept: Sequence[NDArray[np.bool_]], seen: Sequence[list[Tensor]]) -> list[Tensor]:
    """Of every cell what was seen when it was last kept."""
    when = np.array([mask.ravel() for mask in kept])
    last = len(when) - 1 - when[::-1].argmax(axis=0)
    levels = [torch.stack(level) for level in zip(*seen, strict=True)]
    return [level[torch.from_numpy(last), torch.arange(len(last))] for level in levels]


class hidden_keys:  # noqa: N801 - a context manager
    """While open, a module's attention sees only the keys marked True (all where none is). Where it
    attends in windows, the marks are taken piece by piece.
    """

    def __init__(self, module: torch.nn.Module, keys: Tensor) -> None:
        self.config, self.keys = module.config, keys

    def __enter__(self) -> None:
        self.before = self.config._attn_implementation
        AttentionInterface.register("hidden_keys", self._attend)
        self.config._attn_implementation = "hidden_keys"

    def __exit__(self, *_: object) -> None:
        self.config._attn_implementation = self.before

    def _attend(
        self, _module: object, query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, None]:
        seen, rest = self.keys[: key.shape[2]], self.keys[key.shape[2] :]
        self.keys = torch.cat([rest, seen])
        weights = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        weights = weights.masked_fill(~seen & seen.any(), float("-inf")).softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), None
