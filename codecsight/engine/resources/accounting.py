"""Operations that one stream has cost, next to what two dense baselines would have cost."""

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.engine.attention.segments import PackedSegment
from codecsight.engine.request import DecodeRequest
from codecsight.engine.resources.flops import FlopMeter, Flops, Work
from codecsight.engine.window import CachedSlot, Window


class WorkAccount:
    """The `work` of one stream so far. See `Work` for the baselines."""

    def __init__(self, meter: FlopMeter, grid: PatchGrid) -> None:
        self.work = Work()
        self._meter = meter
        self._dense_vit = meter.vit(np.ones((grid.rows, grid.cols), np.bool_))

    def segment_flops(self, segment: PackedSegment) -> Flops:
        """Operations of the text model for one segment."""
        tokens, keys = len(segment.tokens), len(segment.span)
        return Flops(llm=self._meter.llm(tokens, keys, len(segment.logit_indices)))

    def add_spent(self, flops: Flops) -> None:
        """Add operations that belong to no slot: questions and their context."""
        self.work += Work(spent=flops)

    def add_dense_question(self, window: Window, request: DecodeRequest) -> None:
        """Add what the next tokens of a question cost both dense baselines: the same tokens, on a
        window in which nothing is pruned.
        """
        tokens, logits = len(request.tree), len(request.logit_indices)
        keys = window.dense_length + request.computed + tokens
        dense = Flops(llm=self._meter.llm(tokens, keys, logits))
        self.work += Work(recompute=dense, once=dense)

    def add_slot(
        self, window: Window, entry: CachedSlot, spent: Flops, *, stride_complete: bool
    ) -> Work:
        """Add a slot that has entered the window and cost `spent`; returns its work.

        The baseline `recompute` pays for the whole dense window each time a stride is complete, the
        baseline `once` for this slot alone.
        """
        meter, vit, dense = self._meter, self._dense_vit, window.dense_length
        whole_window = Flops(len(window.entries) * vit, meter.llm(dense, dense))
        work = Work(
            spent=spent,
            recompute=whole_window if stride_complete else Flops(),
            once=Flops(vit, meter.llm(entry.dense_length, dense)),
        )
        self.work += work
        return work
