"""The cached keys that questions attend to: the window, with the newest slot made complete.

A delta lacks the cells that did not change, so in the newest slot of the window most of the picture
is missing. `QueryView` chooses how it is completed; the result is shared by all questions until the
next slot comes. Example: a grid of 12 cells, a newest slot with 3 of them, a window of 60 tokens:

    LAST_SLOT        60 keys: the window as it is
    REROTATED        60 + 9 keys: copies of the newest keys of the 9 missing cells
    LATEST_FEATURES  the newest slot (say 8 tokens) is replaced by a complete one of 17 tokens that
                     is prefilled from the latest features: 52 + 17 keys

The extra keys are outside the window, and are freed when the next slot comes.
"""

from dataclasses import dataclass

import numpy as np

from codecsight.engine.attention.pool import IndexAllocator, KVIndices
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import QueryView
from codecsight.engine.encoder_input import LatestFeatures
from codecsight.engine.request import DecodeRequest
from codecsight.engine.window import Mask, Window
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import PromptLayout, Tokens


@dataclass(frozen=True, slots=True)
class WindowState:
    """What a query context is built from: a stream's `window`, the KV indices [window.length] of
    its tokens, the latest features of its cells, and the `allocator` of extra indices.
    """

    view: QueryView
    layout: PromptLayout
    window: Window
    kv_indices: KVIndices
    latest_features: LatestFeatures
    allocator: IndexAllocator

    @property
    def needs_no_extra_keys(self) -> bool:
        """Whether nothing is added to the window."""
        return self.view is QueryView.LAST_SLOT or self.window.entries[-1].has_every_cell


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What every question attends to until the next slot comes, and the `kv_indices` that were
    allocated for it. `segments` and `copies` must go into the first model call that uses it.
    """

    span: AttentionSpan
    kv_indices: KVIndices
    segments: tuple[PackedSegment, ...] = ()
    copies: tuple[KVCopies, ...] = ()

    def computed(self) -> "QueryContext":
        """The same context after that call: nothing is left to compute."""
        return QueryContext(self.span, self.kv_indices)

    def fork(
        self, request: DecodeRequest, position: int, no_cells: CellFeatures, scratch: IndexAllocator
    ) -> PackedSegment:
        """The next tokens of a question that starts at the rotary `position`, after what it has
        computed before; its KV indices are allocated from `scratch`.
        """
        if not len(request.kv_indices):
            request.kv_indices = scratch.allocate(request.max_tokens)
        computed, end = request.computed, request.computed + len(request.tree)
        earlier, indices = request.kv_indices[:computed], request.kv_indices[computed:end]
        order = np.arange(len(indices))
        # In the tree, a token is visible to its descendants only.
        tree = AttentionSpan(indices, order, request.tree.subtree_ends)
        span = self.span.concat(AttentionSpan.past(earlier)).concat(tree)
        tokens = request.tree.tokens.shifted(position + computed)
        return PackedSegment(tokens, no_cells, indices, order, span, request.logit_indices)


def build_query_context(state: WindowState) -> QueryContext:
    """Allocate and describe the context; its keys are computed by the next model call."""
    if state.needs_no_extra_keys:
        return QueryContext(AttentionSpan.past(state.kv_indices), np.arange(0))
    if state.view is QueryView.LATEST_FEATURES:
        return _from_latest_features(state)
    return _rerotated(state)


def query_context_tokens(state: WindowState) -> int:
    """Number of tokens that must be prefilled for the context."""
    if state.needs_no_extra_keys:
        return 0
    if state.view is QueryView.LATEST_FEATURES:
        return state.window.entries[-1].dense_length
    return int(_cells_without_token(state.window).sum())


def _from_latest_features(state: WindowState) -> QueryContext:
    """Leave the newest slot out, and prefill a complete one at its rotary positions instead."""
    window = state.window
    base = state.kv_indices[: window.sequence_start(len(window.slots) - 1)]
    slot = complete_slot(state)
    indices = state.allocator.allocate(len(slot))
    span = AttentionSpan.past(base).concat(AttentionSpan.causal(indices))
    features = state.latest_features.features
    segment = PackedSegment(slot, features, indices, np.arange(len(slot)), span)
    context = AttentionSpan.past(np.concatenate([base, indices]))
    return QueryContext(context, indices, (segment,))


def _rerotated(state: WindowState) -> QueryContext:
    """Copy the newest token of each missing cell to its rotary position in the newest slot."""
    window, target_start = state.window, state.window.entries[-1].cells_start
    sources, shifts = [np.arange(0)], [np.arange(0)]
    for index, cells in window.newest_elsewhere():
        entry = window.slots[index]
        # `cells` is a mask over the grid; among the kept cells it picks the visual tokens.
        visual = np.flatnonzero(entry.tokens.visual.numpy())[cells[entry.kept]]
        sources.append(state.kv_indices[window.sequence_start(index) + visual])
        # Cells count from `cells_start` in every slot, so one shift serves all cells of a slot.
        shifts.append(np.full(len(visual), target_start - entry.cells_start))
    source, shift = np.concatenate(sources), np.concatenate(shifts)
    copied = state.allocator.allocate(len(source))
    copies = (KVCopies(source, copied, shift),)
    cached = np.concatenate([state.kv_indices, copied])
    if not _cells_without_token(window).any():
        return QueryContext(AttentionSpan.past(cached), copied, (), copies)
    segment = _missing_cells(state, cached)
    context = AttentionSpan.past(np.concatenate([cached, segment.kv_indices]))
    allocated = np.concatenate([copied, segment.kv_indices])
    return QueryContext(context, allocated, (segment,), copies)


def _missing_cells(state: WindowState, cached: KVIndices) -> PackedSegment:
    """Prefill the cells of which the window has no token, from their latest features."""
    slot = complete_slot(state)
    missing = np.flatnonzero(_cells_without_token(state.window))
    tokens = slot.select(np.flatnonzero(slot.visual.numpy())[missing])
    indices = state.allocator.allocate(len(missing))
    span = AttentionSpan.past(cached).concat(AttentionSpan.causal(indices))
    features = state.latest_features.features.select(missing)
    return PackedSegment(tokens, features, indices, np.arange(len(indices)), span)


def _cells_without_token(window: Window) -> Mask:
    """Mask [rows, cols] of the cells of which no slot of the window holds a token."""
    cached: Mask = np.logical_or.reduce([entry.kept for entry in window.slots])
    return ~cached


def complete_slot(state: WindowState) -> Tokens:
    """The tokens of the newest slot with every cell, at its rotary positions."""
    newest = state.window.entries[-1]
    every_cell = np.ones_like(newest.kept)
    return state.layout.slot(newest.time, every_cell).shifted(newest.start)
