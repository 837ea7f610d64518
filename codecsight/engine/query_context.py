"""Where questions stand: after the window's newest slot, as the present looks by then."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codecsight.engine.attention import Copies, Run, View
from codecsight.engine.config import Present
from codecsight.engine.pool import Rows
from codecsight.engine.window import Mask
from codecsight.models.prompt import Tokens

if TYPE_CHECKING:
    from codecsight.engine.session import StreamSession


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What every question sees until the next slot comes, and the `rows` that were taken for it.
    `runs` and `copies` must go into the first pass that uses it.
    """

    view: View
    rows: Rows
    runs: tuple[Run, ...] = ()
    copies: tuple[Copies, ...] = ()

    def done(self) -> "Standpoint":
        """The same once that pass is under way: what went into it need not be kept."""
        return Standpoint(self.view, self.rows)


def standpoint(session: "StreamSession") -> Standpoint:
    """The window as it is, or with what stands still brought to its newest slot."""
    present = session.config.present
    if present is Present.LAST_SLOT or session.window.entries[-1].whole:
        return Standpoint(View.past(session.rows), np.arange(0))
    return _canvas(session) if present is Present.CANVAS else _retimed(session)


def standpoint_tokens(session: "StreamSession") -> int:
    """The tokens that must be prefilled for it."""
    entry, present = session.window.entries[-1], session.config.present
    if present is Present.LAST_SLOT or entry.whole:
        return 0
    if present is Present.CANVAS:
        return entry.dense_length
    return int(_unseen(session).sum())


def _canvas(session: "StreamSession") -> Standpoint:
    """The newest slot is left out, and stands there whole instead."""
    window = session.window
    base = session.rows[: window.place(len(window.slots) - 1)]
    whole = whole_slot(session)
    rows = session.table.take(len(whole))
    view = View.past(base).then(View.causal(rows))
    run = Run(whole, session.canvas.features, rows, np.arange(len(whole)), view)
    return Standpoint(View.past(np.concatenate([base, rows])), rows, (run,))


def _retimed(session: "StreamSession") -> Standpoint:
    """The newest token of each other cell is copied to where it would stand in the newest slot.
    A cell that has none left in the window is prefilled there, as the ViT last saw it.
    """
    window, present = session.window, session.window.entries[-1].cells_start
    sources, shifts = [np.arange(0)], [np.arange(0)]
    for index, cells in window.newest():
        entry = window.slots[index]
        visual = np.flatnonzero(entry.tokens.visual.numpy())[cells[entry.kept]]
        sources.append(session.rows[window.place(index) + visual])
        shifts.append(np.full(len(visual), present - entry.cells_start))
    source, shift = np.concatenate(sources), np.concatenate(shifts)
    copied = session.table.take(len(source))
    copies = (Copies(source, copied, shift),)
    seen = np.concatenate([session.rows, copied])
    unseen = _unseen(session)
    if not unseen.any():
        return Standpoint(View.past(seen), copied, (), copies)
    whole = whole_slot(session)
    missing = np.flatnonzero(unseen)
    tokens = whole.select(np.flatnonzero(whole.visual.numpy())[missing])
    rows = session.table.take(len(missing))
    view = View.past(seen).then(View.causal(rows))
    run = Run(tokens, session.canvas.features.select(missing), rows, np.arange(len(rows)), view)
    taken = np.concatenate([copied, rows])
    return Standpoint(View.past(np.concatenate([seen, rows])), taken, (run,), copies)


def _unseen(session: "StreamSession") -> Mask:
    """[rows, cols]: the cells of which the window holds no token."""
    seen: Mask = np.logical_or.reduce([entry.kept for entry in session.window.slots])
    return ~seen


def whole_slot(session: "StreamSession") -> Tokens:
    """The newest slot as if nothing had been left out."""
    newest = session.window.entries[-1]
    kept = np.ones_like(newest.kept)
    return session.model.layout.slot(newest.time, kept).shifted(newest.start)
