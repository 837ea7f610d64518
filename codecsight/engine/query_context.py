"""Where questions stand: after the window's newest slot, as the present looks by then."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codecsight.engine.attention.pool import Rows
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.engine.config import QueryView
from codecsight.engine.window import Mask
from codecsight.models.prompt import Tokens

if TYPE_CHECKING:
    from codecsight.engine.session import StreamSession


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What every question sees until the next slot comes, and the `rows` that were taken for it.
    `runs` and `copies` must go into the first pass that uses it.
    """

    view: AttentionSpan
    rows: Rows
    runs: tuple[PackedSegment, ...] = ()
    copies: tuple[KVCopies, ...] = ()

    def done(self) -> "QueryContext":
        """The same once that pass is under way: what went into it need not be kept."""
        return QueryContext(self.view, self.rows)


def build_query_context(session: "StreamSession") -> QueryContext:
    """The window as it is, or with what stands still brought to its newest slot."""
    present = session.config.query_view
    if present is QueryView.LAST_SLOT or session.window.entries[-1].whole:
        return QueryContext(AttentionSpan.past(session.kv_indices), np.arange(0))
    return _canvas(session) if present is QueryView.LATEST_FEATURES else _retimed(session)


def query_context_tokens(session: "StreamSession") -> int:
    """The tokens that must be prefilled for it."""
    entry, present = session.window.entries[-1], session.config.query_view
    if present is QueryView.LAST_SLOT or entry.whole:
        return 0
    if present is QueryView.LATEST_FEATURES:
        return entry.dense_length
    return int(_unseen(session).sum())


def _canvas(session: "StreamSession") -> QueryContext:
    """The newest slot is left out, and stands there whole instead."""
    window = session.window
    base = session.kv_indices[: window.place(len(window.slots) - 1)]
    whole = whole_slot(session)
    rows = session.table.allocate(len(whole))
    view = AttentionSpan.past(base).then(AttentionSpan.causal(rows))
    run = PackedSegment(whole, session.latest_features.features, rows, np.arange(len(whole)), view)
    return QueryContext(AttentionSpan.past(np.concatenate([base, rows])), rows, (run,))


def _retimed(session: "StreamSession") -> QueryContext:
    """The newest token of each other cell is copied to where it would stand in the newest slot.
    A cell that has none left in the window is prefilled there, as the ViT last saw it.
    """
    window, present = session.window, session.window.entries[-1].cells_start
    sources, shifts = [np.arange(0)], [np.arange(0)]
    for index, cells in window.newest():
        entry = window.slots[index]
        visual = np.flatnonzero(entry.tokens.visual.numpy())[cells[entry.kept]]
        sources.append(session.kv_indices[window.place(index) + visual])
        shifts.append(np.full(len(visual), present - entry.cells_start))
    source, shift = np.concatenate(sources), np.concatenate(shifts)
    copied = session.table.allocate(len(source))
    copies = (KVCopies(source, copied, shift),)
    seen = np.concatenate([session.kv_indices, copied])
    unseen = _unseen(session)
    if not unseen.any():
        return QueryContext(AttentionSpan.past(seen), copied, (), copies)
    whole = whole_slot(session)
    missing = np.flatnonzero(unseen)
    tokens = whole.select(np.flatnonzero(whole.visual.numpy())[missing])
    rows = session.table.allocate(len(missing))
    view = AttentionSpan.past(seen).then(AttentionSpan.causal(rows))
    run = PackedSegment(
        tokens, session.latest_features.features.select(missing), rows, np.arange(len(rows)), view
    )
    taken = np.concatenate([copied, rows])
    return QueryContext(AttentionSpan.past(np.concatenate([seen, rows])), taken, (run,), copies)


def _unseen(session: "StreamSession") -> Mask:
    """[rows, cols]: the cells of which the window holds no token."""
    seen: Mask = np.logical_or.reduce([entry.kept for entry in session.window.slots])
    return ~seen


def whole_slot(session: "StreamSession") -> Tokens:
    """The newest slot as if nothing had been left out."""
    newest = session.window.entries[-1]
    kept = np.ones_like(newest.kept)
    return session.model.layout.slot(newest.time, kept).shifted(newest.start)
