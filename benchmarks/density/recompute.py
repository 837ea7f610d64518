"""Windows recomputed for every question with this engine's kernels."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.density.systems import QUESTION, SlotAnswer, StatelessSystem, window_of
from codecsight.answers.scoring import build_option_tree, score
from codecsight.core.slot import Slot
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import IndexAllocator, KVPool, blocks_for
from codecsight.engine.attention.segments import UNBOUNDED, AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.resources.flops import FlopMeter
from codecsight.engine.window import slot_time
from codecsight.models.base import CellFeatures
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.prompt import Tokens


class Recompute(StatelessSystem):
    """This engine's kernels without state: each question encodes and prefills its window again, in
    one forward pass. With `pruned` (EVS, arXiv 2510.14624), this share of the window's tokens is
    dropped after the ViT, those whose pixels differ least from the slot before.
    """

    def __init__(self, model: Qwen3VL, pruned: float = 0.0) -> None:
        super().__init__()
        self._model, self._pruned, self._meter = model, pruned, FlopMeter(model)
        self._pool = KVPool(model.kv, 256)
        self._spent = 0
        self._tokens = 0

    @torch.inference_mode()
    def step(self) -> list[SlotAnswer]:
        """Answer up to two waiting windows in one batch."""
        batch = [self._waiting.popleft() for _ in range(min(2, len(self._waiting)))]
        option_tree = build_option_tree([QUESTION], self._model)
        segments, tables = [], []
        for stream, index in batch:
            tokens, cells, extent = self._window(stream, index)
            question = option_tree.tree.tokens.shifted(extent)
            whole = Tokens.join([tokens, question])
            table = IndexAllocator(self._pool)
            kv_indices, positions = table.allocate(len(whole)), np.arange(len(whole))
            # Window tokens are visible to all later tokens, a tree token only within its subtree.
            ends = np.concatenate(
                [np.full(len(tokens), UNBOUNDED), option_tree.tree.subtree_ends + len(tokens)]
            )
            read = [len(tokens) + index for index in option_tree.logit_indices]
            span = AttentionSpan(kv_indices, positions, ends)
            segments.append(PackedSegment(whole, cells, kv_indices, positions, span, read))
            tables.append((table, kv_indices))
            self._spent += self._meter.llm(len(whole), len(whole), len(read))
            self._tokens = len(whole)
        logits = forward(self._model, self._pool, segments, KVCopies.join([]))
        for table, kv_indices in tables:
            table.free(kv_indices)
        return [
            (stream, index, score(option_tree, found)[0].value)
            for (stream, index), found in zip(batch, logits, strict=True)
        ]

    def _window(self, stream: int, index: int) -> tuple[Tokens, CellFeatures, int]:
        slots = window_of(self._traces[stream], index)
        features = self._model.encode_slots(slots)
        self._spent += sum(self._meter.vit(slot.kept) for slot in slots)
        layout = self._model.layout
        parts, position = [layout.prefix], layout.prefix.extent
        kept = evs_keep(slots, self._pruned)
        for slot, keep in zip(slots, kept, strict=True):
            tokens = layout.slot(slot_time(slot.times), keep)
            parts.append(tokens.shifted(position))
            position += tokens.extent
        cells = [one.select(keep.ravel()) for one, keep in zip(features, kept, strict=True)]
        return Tokens.join(parts), CellFeatures.join(cells), position

    def flops(self) -> float:
        """Operations executed so far."""
        return self._spent

    def kv_bytes(self) -> float:
        """Bytes of keys and values of one window, in whole blocks."""
        return blocks_for(self._tokens) * self._pool.block_bytes


def evs_keep(slots: Sequence[Slot], pruned: float) -> list[NDArray[np.bool_]]:
    """Masks [rows, cols] of the cells that EVS keeps: all of the first slot, and of the others the
    cells that changed most.
    """
    keep = [np.ones_like(slot.kept) for slot in slots]
    if not pruned or len(slots) < 2:
        return keep
    pixels = np.stack([slot.patches for slot in slots]).astype(np.float32)
    change = np.abs(np.diff(pixels, axis=0)).mean(axis=(2, 3, 4, 5))
    limit = np.quantile(change, min(pruned * len(slots) / (len(slots) - 1), 1.0))
    shape = slots[0].kept.shape
    return [keep[0], *((each > limit).reshape(shape) for each in change)]
