"""Reference for Qwen3-VL: transformers' own forward pass, from whole pictures, without the engine.

Pruning is done by masking: every picture is encoded, every token has the position transformers
gives it, and dropped patches and cells are masked in all attention. Leaving them out, as the engine
does, must give the same logits.
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
    """A slot before pruning: frames uint8 [frames, 3, height, width], kept bool [rows, cols]."""

    times: tuple[float, ...]
    frames: NDArray[np.uint8]
    kept: NDArray[np.bool_]

    def slot(self, cell: int) -> Slot:
        """The slot as the edge sends it, with cells of `cell` pixels."""
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
    """Logits of the same network as `model`, computed by transformers alone."""

    def __init__(self, model: Qwen3VL) -> None:
        self.model, self.network = model, model.network
        self.vision = model.network.config.vision_config

    def logits(
        self,
        stream: Sequence[UnprunedSlot],
        question: str,
        answer: Sequence[int] = (),
        *,
        latest: bool = False,
        last: int | None = None,
    ) -> Tensor:
        """Logits [vocab] after the question (and the start of an answer) about the `last` slots.

        With `latest` the newest slot has all cells, each with its latest features.
        """
        with torch.inference_mode():
            window = list(stream[-last:] if last else stream)
            if not latest and all(unpruned.kept.all() for unpruned in window):
                return self._plain(window, question, answer)
            features = [self._encode(unpruned) for unpruned in stream]
            if latest:
                window[-1] = replace(window[-1], kept=np.ones_like(window[-1].kept))
                features[-1] = latest_features([unpruned.kept for unpruned in stream], features)
            return self._masked(window, features[-len(window) :], question, answer)

    def _plain(
        self, stream: Sequence[UnprunedSlot], question: str, answer: Sequence[int]
    ) -> Tensor:
        ids, types = self._ids(stream, question, answer)
        return self.network(
            input_ids=ids,
            pixel_values_videos=torch.cat([self._pixels(unpruned.frames) for unpruned in stream]),
            video_grid_thw=self._grid(stream),
            mm_token_type_ids=types,
        ).logits[0, -1]

    def _masked(
        self,
        stream: Sequence[UnprunedSlot],
        features: Sequence[list[Tensor]],
        question: str,
        answer: Sequence[int],
    ) -> Tensor:
        ids, types = self._ids(stream, question, answer)
        positions, _ = self.network.model.get_rope_index(ids, types, None, self._grid(stream))
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        return self._run(ids, positions, causal & self._kept_tokens(types, stream), features)

    @torch.inference_mode()
    def logits_reused(
        self, stream: Sequence[UnprunedSlot], question: str, windows: Sequence[int]
    ) -> Tensor:
        """Logits [vocab] if no slot is ever recomputed: slot i attended to the slots from
        `windows[i]` on, and the question attends to the last slot's window.

        One plain forward pass over all slots, with a copy of the prefix before each window.
        """
        ids, types = self._ids(stream, question, ())
        positions, _ = self.network.model.get_rope_index(ids, types, None, self._grid(stream))
        ends = (ids[0] == self.network.config.vision_end_token_id).long()
        slot = ends.cumsum(0) - ends  # slot of each token; the question is one more
        prefix = len(self.model.layout.prefix)
        slot[:prefix] = -1
        first = torch.tensor([*windows, windows[-1]])[slot]  # oldest slot each token attends to
        index = torch.arange(len(slot))
        mask = (index <= index[:, None]) & ((slot >= first[:, None]) | (slot < 0)[:, None])
        for window in sorted(set(windows)):
            start = int((slot == window).nonzero()[0, 0])
            ids = torch.cat([ids, ids[:, :prefix]], dim=1)
            types = torch.cat([types, types[:, :prefix]], dim=1)
            shift = positions[:, :, start : start + 1] - prefix
            positions = torch.cat([positions, positions[:, :, :prefix] + shift], dim=2)
            attends_to_copy = ((first == window) & (slot >= 0))[:, None].expand(-1, prefix)
            mask = torch.block_diag(mask, torch.ones(prefix, prefix).tril()).bool()
            mask[: len(slot), -prefix:] = attends_to_copy
        features = [self._encode(unpruned) for unpruned in stream]
        masked = mask & self._kept_tokens(types, stream)
        return self._run(ids, positions, masked, features, read=len(slot) - 1)

    def _kept_tokens(self, types: Tensor, stream: Sequence[UnprunedSlot]) -> Tensor:
        """Mask of the tokens that are not dropped cells: bool [tokens]."""
        kept = torch.ones(types.shape[1], dtype=torch.bool)
        kept[types[0] == 2] = torch.from_numpy(
            np.concatenate([unpruned.kept.ravel() for unpruned in stream])
        )
        return kept

    def _run(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor,
        features: Sequence[list[Tensor]],
        read: int = -1,
    ) -> Tensor:
        embeddings, *deepstack = (torch.cat(level) for level in zip(*features, strict=True))
        video = BaseModelOutputWithDeepstackFeatures(
            pooler_output=[embeddings], deepstack_features=[[level] for level in deepstack]
        )
        mask = mask | torch.eye(len(mask), dtype=torch.bool)  # softmax needs a key in every row
        return self.network(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask[None, None],
            mm_encoder_outputs={"video": video},
        ).logits[0, read]

    def _grid(self, stream: Sequence[UnprunedSlot]) -> Tensor:
        height, width = stream[0].frames.shape[2:]
        patch = self.vision.patch_size
        return torch.tensor([[len(stream), height // patch, width // patch]])

    def _ids(
        self, stream: Sequence[UnprunedSlot], question: str, answer: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        text = "<|im_start|>user\n"
        for unpruned in stream:
            stamp = sum(unpruned.times) / len(unpruned.times)
            text += f"<{stamp:.1f} seconds><|vision_start|>"
            text += "<|video_pad|>" * unpruned.kept.size + "<|vision_end|>"
        text += f"{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt = self.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*prompt, *answer]])
        return ids, (ids == self.network.config.video_token_id).int() * 2

    def _pixels(self, frames: NDArray[np.uint8]) -> Tensor:
        """The patches in the order of transformers' Qwen video processors."""
        patch, merge = self.vision.patch_size, self.vision.spatial_merge_size
        count, channels, height, width = frames.shape
        scaled = (torch.from_numpy(frames).float() / 255 - 0.5) / 0.5
        blocks = scaled.view(
            1, count, channels,
            height // patch // merge, merge, patch, width // patch // merge, merge, patch,
        )  # fmt: skip
        rows = height // patch * (width // patch)
        return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(rows, -1)

    def _encode(self, unpruned: UnprunedSlot) -> list[Tensor]:
        """Run the ViT over the whole picture with the dropped patches masked as keys.

        Returns embeddings and deepstack levels, each [cells, d]; those of dropped cells have no
        meaning.
        """
        keys = torch.from_numpy(np.repeat(unpruned.kept.ravel(), self.vision.spatial_merge_size**2))
        with hidden_keys(self.network.model.visual, keys):
            output = self.network.model.visual(
                self._pixels(unpruned.frames), grid_thw=self._grid([unpruned])
            )
        return [output.pooler_output, *output.deepstack_features]


def latest_features(
    kept: Sequence[NDArray[np.bool_]], features: Sequence[list[Tensor]]
) -> list[Tensor]:
    """Each cell's features in the last slot that kept it."""
    when = np.array([mask.ravel() for mask in kept])
    last = len(when) - 1 - when[::-1].argmax(axis=0)
    levels = [torch.stack(level) for level in zip(*features, strict=True)]
    return [level[torch.from_numpy(last), torch.arange(len(last))] for level in levels]


class hidden_keys:  # noqa: N801 - a context manager
    """Within this context a module attends only to the keys marked True (to all if none is).

    A module with window attention takes the marks piece by piece, one window at a time.
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
        kept, rest = self.keys[: key.shape[2]], self.keys[key.shape[2] :]
        self.keys = torch.cat([rest, kept])
        weights = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        weights = weights.masked_fill(~kept & kept.any(), float("-inf")).softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), None
