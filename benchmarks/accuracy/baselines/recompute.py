"""Windows of chosen cells, each recomputed: the EVS, low-rate and last-frames baselines.

The accounting favours these baselines: a slot is encoded and charged once, however many windows
hold it; slots before the first full window are free; and where a slots number of slots must be
chosen, it is the next one above the default's cost.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.footage import Footage
from codecsight.answers.scoring import ScoredAnswer, build_option_tree, score
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import IndexAllocator, KVPool
from codecsight.engine.attention.segments import UNBOUNDED, AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.resources.flops import FlopMeter, Flops
from codecsight.engine.window import slot_time
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

Mask = NDArray[np.bool_]
Chosen = list[tuple[int, Mask]]
"""Slots by index, oldest first, with masks [rows, cols] of the cells to prefill."""

_BLOCKS = 400
"""KV blocks of the pool: enough for one window with a question set."""


class WindowRecomputer:
    """Answers questions about recomputed windows; ViT features are kept for each slot."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self._model, self._meter = model, FlopMeter(model)
        self._pool = KVPool(model.kv, _BLOCKS)
        self._features: dict[tuple[str, int], CellFeatures] = {}
        self._charged: set[tuple[str, int]] = set()

    def reset_cost(self) -> None:
        """Start another baseline, which is charged for encoding its slots again."""
        self._charged.clear()

    def mark_encoded(self, footage: Footage, indices: Sequence[int]) -> None:
        """Leave encoding these slots of a stream out of the cost."""
        self._charged |= {(footage.stream.url, index) for index in indices}

    @torch.inference_mode()
    def answer(
        self, footage: Footage, chosen: Chosen, questions: Sequence[Question], probe: Question
    ) -> tuple[list[ScoredAnswer], Flops, int]:
        """Return answers, operations for the window and `probe` alone, and cells prefilled."""
        name, slots = footage.stream.url, footage.slots["everything"]
        spent = self._encode(name, slots, [index for index, _ in chosen])
        window, cells, extent = self._window(name, slots, chosen)
        option_tree = build_option_tree(questions, self._model)
        table, size = IndexAllocator(self._pool), len(window) + len(option_tree.tree)
        kv_indices, positions = table.allocate(size), np.arange(size)
        # Window tokens are visible to all later tokens, a tree token only within its subtree.
        ends = np.concatenate(
            [np.full(len(window), UNBOUNDED), option_tree.tree.subtree_ends + len(window)]
        )
        read = [len(window) + index for index in option_tree.logit_indices]
        tokens = Tokens.join([window, option_tree.tree.tokens.shifted(extent)])
        span = AttentionSpan(kv_indices, positions, ends)
        segment = PackedSegment(tokens, cells, kv_indices, positions, span, read)
        logits = forward(self._model, self._pool, [segment], KVCopies.join([]))[0]
        table.free(kv_indices)
        probe_tree = build_option_tree([probe], self._model)
        size = len(window) + len(probe_tree.tree)
        spent += Flops(llm=self._meter.llm(size, size, len(probe_tree.logit_indices)))
        return score(option_tree, logits), spent, len(cells)

    def _encode(self, name: str, slots: list[Slot], indices: list[int]) -> Flops:
        missing = [index for index in indices if (name, index) not in self._features]
        for index in missing:
            self._features[name, index] = self._model.encode_cells(slots[index])
        uncharged = {(name, index) for index in indices} - self._charged
        self._charged |= uncharged
        return Flops(vit=sum(self._meter.vit(slots[index].kept) for _, index in uncharged))

    def _window(
        self, name: str, slots: list[Slot], chosen: Chosen
    ) -> tuple[Tokens, CellFeatures, int]:
        layout = self._model.layout
        parts, position = [layout.prefix], layout.prefix.extent
        for index, kept in chosen:
            tokens = layout.slot(slot_time(slots[index].times), kept)
            parts.append(tokens.shifted(position))
            position += tokens.extent
        features = [self._features[name, index].select(kept.ravel()) for index, kept in chosen]
        return Tokens.join(parts), CellFeatures.join(features), position


def chosen_slots(change: str, window: int, count: int, footage: Footage, end: int) -> Chosen:
    """Choose `count` whole slots: the newest ones up to `end`, or spread evenly over the window."""
    spread = count if change == "last-frames" else window
    kept = np.ones((footage.grid.rows, footage.grid.cols), np.bool_)
    return [(end - age * spread // count, kept) for age in range(count - 1, -1, -1)]


def evs_cells(window: int, share: float, footage: Footage, end: int) -> Chosen:
    """Choose the share of a window's cells that EVS (arXiv 2510.14624) keeps.

    All cells of the first slot, and of the others the cells whose pixels differ most from the slot
    before.
    """
    slots = footage.slots["everything"][end + 1 - window : end + 1]
    pixels = np.stack([slot.patches for slot in slots]).astype(np.float32)
    change = np.abs(np.diff(pixels, axis=0)).mean(axis=(2, 3, 4, 5)).ravel()
    cells = footage.grid.cells
    count = max(round(share * window * cells) - cells, 0)
    kept = np.zeros(len(change), np.bool_)
    kept[np.argsort(-change, kind="stable")[:count]] = True
    shape = (window - 1, footage.grid.rows, footage.grid.cols)
    masks = [np.ones(shape[1:], np.bool_), *kept.reshape(shape)]
    return [(end + 1 - window + index, mask) for index, mask in enumerate(masks)]
