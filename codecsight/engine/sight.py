"""What the ViT sees of a slot: the kept cells, and around them their neighbours as last shipped.

A cell encoded without its surroundings says less of what it shows: a person's cell does not know
that the legs are next door. The neighbours' pixels are in the cloud already, from the slot that
last shipped them, so they can be looked at without crossing the network again; what the ViT says
of them is thrown away, so they cost the language model nothing either.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codecsight.change.slot import Slot


@dataclass(frozen=True, slots=True)
class Look:
    """A slot widened by its neighbours. `own` are the indices, among the widened slot's cells, of
    those that the slot itself keeps, in its order.
    """

    slot: Slot
    own: NDArray[np.intp]


class Sight:
    """One stream's newest pixels, [rows, cols, frames, 3, cell, cell] uint8 once an anchor came."""

    def __init__(self, ring: int) -> None:
        self._ring = ring
        self._pixels: NDArray[np.uint8] | None = None

    def look(self, slot: Slot) -> Look:
        """Widen the stream's next slot by `ring` cells in every direction, and remember it."""
        if self._ring == 0 or slot.kept_count in (0, slot.cell_count):
            self._remember(slot)
            return Look(slot, np.arange(slot.kept_count))
        pixels = self._remember(slot)
        wide = dilated(slot.kept, self._ring)
        patches = pixels[wide]
        own = np.flatnonzero(slot.kept[wide])
        patches[own] = slot.patches
        reasons = np.ones(len(patches), np.uint8)
        return Look(replace(slot, kept=wide, patches=patches, reasons=reasons), own)

    def _remember(self, slot: Slot) -> NDArray[np.uint8]:
        """Keep the newest frame of every kept cell: where nothing is shipped, nothing moves."""
        if self._pixels is None:
            self._pixels = np.zeros((*slot.kept.shape, *slot.patches.shape[1:]), np.uint8)
        self._pixels[slot.kept] = slot.patches[:, -1:]
        return self._pixels


def dilated(mask: NDArray[np.bool_], ring: int) -> NDArray[np.bool_]:
    """The mask [rows, cols] and all within `ring` cells of it, diagonals included."""
    rows, cols = mask.shape
    padded = np.zeros((rows + 2 * ring, cols + 2 * ring), np.bool_)
    padded[ring : ring + rows, ring : ring + cols] = mask
    steps = range(2 * ring + 1)
    shifted = [padded[r : r + rows, c : c + cols] for r in steps for c in steps]
    widened: NDArray[np.bool_] = np.logical_or.reduce(shifted)
    return widened
