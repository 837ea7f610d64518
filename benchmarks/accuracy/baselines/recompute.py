"""Whole windows of chosen slots, each computed anew: EVS, low-rate and last-frames baselines.

What is chosen is generous to them: a slot is encoded once and counted once, however many windows
hold it, those before the first full window not at all; and where a whole number of slots must be
taken it is the next one above our own cost.
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
from codecsight.engine.attention.pool import BlockTable, KVPool
from codecsight.engine.attention.segments import UNBOUNDED, AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.resources.flops import FlopMeter, Flops
from codecsight.engine.window import slot_time
from codecsight.models.base import CellFeatures, VisionLanguageModel
from codecsight.models.prompt import Tokens

Mask = NDArray[np.bool_]
Chosen = list[tuple[int, Mask]]
"""Slots of a stream by index, oldest first, and which of their cells [rows, cols] are prefilled."""

_BLOCKS = 400


class WindowRecomputer:
    """Answers from windows that are computed anew. Features of the ViT are kept per stream."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self._model, self._meter = model, FlopMeter(model)
        self._pool = KVPool(model.kv, _BLOCKS)
        self._features: dict[tuple[str, int], CellFeatures] = {}
        self._counted: set[tuple[str, int]] = set()

    def begin(self) -> None:
        """Another baseline: it must encode its slots itself."""
        self._counted.clear()

    def grant(self, footage: Footage, indices: Sequence[int]) -> None:
        """These slots of a stream were encoded before the account began."""
        self._counted |= {(footage.stream.url, index) for index in indices}

    def forget(self) -> None:
        """Other streams."""
        self._features.clear()

    @torch.inference_mode()
    def answer(
        self, footage: Footage, chosen: Chosen, questions: Sequence[Question], probe: Question
    ) -> tuple[list[ScoredAnswer], Flops, int]:
        """Answers, the operations for the window and one `probe` question, and cells prefilled."""
        name, whole = footage.stream.url, footage.slots["everything"]
        spent = self._see(name, whole, [index for index, _ in chosen])
        window, cells, extent = self._window(name, whole, chosen)
        option_tree = build_option_tree(questions, self._model)
        table, size = BlockTable(self._pool), len(window) + len(option_tree.tree)
        rows, at = table.allocate(size), np.arange(size)
        shuts = np.concatenate(
            [np.full(len(window), UNBOUNDED), option_tree.tree.subtree_ends + len(window)]
        )
        read = [len(window) + row for row in option_tree.logit_indices]
        tokens = Tokens.join([window, option_tree.tree.tokens.shifted(extent)])
        run = PackedSegment(tokens, cells, rows, at, AttentionSpan(rows, at, shuts), read)
        logits = forward(self._model, self._pool, [run], KVCopies.join([]))[0]
        table.free(rows)
        asked = build_option_tree([probe], self._model)
        size = len(window) + len(asked.tree)
        spent += Flops(llm=self._meter.llm(size, size, len(asked.logit_indices)))
        return score(option_tree, logits), spent, len(cells)

    def _see(self, name: str, whole: list[Slot], indices: list[int]) -> Flops:
        missing = [index for index in indices if (name, index) not in self._features]
        for index in missing:
            self._features[name, index] = self._model.encode_cells(whole[index])
        uncounted = {(name, index) for index in indices} - self._counted
        self._counted |= uncounted
        return Flops(vit=sum(self._meter.vit(whole[index].kept) for _, index in uncounted))

    def _window(
        self, name: str, whole: list[Slot], chosen: Chosen
    ) -> tuple[Tokens, CellFeatures, int]:
        layout = self._model.layout
        runs, position = [layout.prefix], layout.prefix.extent
        for index, kept in chosen:
            tokens = layout.slot(slot_time(whole[index].times), kept)
            runs.append(tokens.shifted(position))
            position += tokens.extent
        picked = [self._features[name, index].select(kept.ravel()) for index, kept in chosen]
        return Tokens.join(runs), CellFeatures.join(picked), position


def chosen_slots(change: str, window: int, count: int, footage: Footage, end: int) -> Chosen:
    """The newest `count` slots up to `end`, or so many spread evenly over the window."""
    spread = count if change == "last-frames" else window
    kept = np.ones((footage.grid.rows, footage.grid.cols), np.bool_)
    return [(end - back * spread // count, kept) for back in range(count - 1, -1, -1)]


def evs_cells(window: int, share: float, footage: Footage, end: int) -> Chosen:
    """EVS (arXiv 2510.14624): all of the window's first slot, and of the others the cells whose
    pixels differ most from the slot before, up to that share of the window's cells.
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
