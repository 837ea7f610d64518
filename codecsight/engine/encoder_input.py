"""What the ViT sees of a slot: the cells that are new, among their neighbours.

A cell encoded without its surroundings says less of what it shows: a person's cell does not know
that the legs are next door. A ViT that remembers lets new cells attend to the keys and values that
it left of all others; that costs attention and nothing else. With other ViTs a ring of neighbours
is looked at again: their pixels are in the cloud already, from the slot that last shipped them, and
what is said of them is thrown away.

An anchor holds every cell, so that a stream can begin with it. When it is not the first, most of
its cells look as they did. What was said of them among neighbours holds, and is not asked again.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.resources.flops import FlopMeter
from codecsight.jit import cached_njit
from codecsight.models.base import CellFeatures
from codecsight.models.vision_kv_cache import VisionKVCache

Mask = NDArray[np.bool_]

_BLOCK = 4  # pixels a side over which noise and the mosaic's coding are averaged away


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """What the ViT is given of a slot: its `fresh` cells [rows, cols], perhaps among neighbours.
    `own` are the indices of the fresh ones among all that `slot` keeps; what it `remembers`, if
    anything, is seen besides.
    """

    slot: Slot
    own: NDArray[np.intp]
    fresh: Mask
    remembers: VisionKVCache | None = None

    def cost(self, meter: FlopMeter) -> int:
        """What the ViT spends on it."""
        kept = self.slot.kept
        return meter.vit_remembering(kept) if self.remembers else meter.vit(kept, len(self.own))


class EncoderInput:
    """One stream's pixels as the ViT last saw them: [rows, cols, frames, 3, cell, cell] uint8 once
    an anchor came; and what it remembers of them. See `EngineConfig` for `ring` and `still`.
    """

    def __init__(
        self,
        neighbour_radius: int,
        static_threshold: float = 0.0,
        memory: VisionKVCache | None = None,
    ) -> None:
        self._ring, self._still, self._memory = neighbour_radius, static_threshold, memory
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        """What the pixels take."""
        return 0 if self._pixels is None else self._pixels.nbytes

    def look(self, slot: Slot) -> EncodeRequest:
        """What to look at of the stream's next slot; it is remembered."""
        fresh = self._fresh(slot)
        if not fresh.all():
            slot = _thinned(slot, fresh)
        kept = slot.kept
        pixels = self._remember(slot)
        if self._memory or self._ring == 0 or slot.kept_count in (0, slot.cell_count):
            return EncodeRequest(slot, np.arange(slot.kept_count), kept, self._memory)
        wide = dilated(kept, self._ring)
        patches = np.repeat(pixels[wide][:, -1:], pixels.shape[2], axis=1)
        own = np.flatnonzero(kept[wide])
        patches[own] = slot.patches
        reasons = np.ones(len(patches), np.uint8)
        return EncodeRequest(replace(slot, kept=wide, patches=patches, reasons=reasons), own, kept)

    def _fresh(self, slot: Slot) -> Mask:
        """[kept]: which of the slot's cells must be looked at."""
        pixels = self._pixels if self._memory is not None and self._still else None
        if pixels is not None and slot.kind is SlotKind.ANCHOR:
            return differing(slot.patches, pixels[slot.kept], self._still)
        return np.ones(slot.kept_count, np.bool_)

    def _remember(self, slot: Slot) -> NDArray[np.uint8]:
        if self._pixels is None:
            self._pixels = np.zeros((*slot.kept.shape, *slot.patches.shape[1:]), np.uint8)
        self._pixels[slot.kept] = slot.patches
        return self._pixels


def differing(new: NDArray[np.uint8], old: NDArray[np.uint8], least: float) -> Mask:
    """[cells]: of cells [cells, frames, 3, cell, cell], those of which a block of 4 x 4 pixels
    differs on average by more than `least` grey levels, in any frame and colour.
    """
    block = math.gcd(new.shape[3], _BLOCK)
    found = np.zeros(len(new), np.bool_)
    _differing(new, old, block, np.int32(least * block * block), found)
    return found


@cached_njit
def _differing(
    new: NDArray[np.uint8], old: NDArray[np.uint8], block: int, least: np.int32, found: Mask
) -> None:
    cells, frames, colours, side, _ = new.shape
    for cell in range(cells):
        for frame in range(frames):
            for colour in range(colours):
                if not found[cell]:
                    here, there = new[cell, frame, colour], old[cell, frame, colour]
                    found[cell] = _plane_differs(here, there, side, block, least)


@cached_njit
def _plane_differs(
    new: NDArray[np.uint8], old: NDArray[np.uint8], side: int, block: int, least: np.int32
) -> bool:
    """The same of one colour of one frame, [side, side]; `least` is a block's sum."""
    sums = np.empty(side // block, np.int32)
    for top in range(0, side, block):
        sums[:] = 0
        for y in range(top, top + block):
            for x in range(side):
                sums[x // block] += np.int32(new[y, x]) - np.int32(old[y, x])
        for total in sums:
            if abs(total) > least:
                return True
    return False


def _thinned(slot: Slot, fresh: Mask) -> Slot:
    """Only those of its cells that are `fresh` [kept]."""
    kept = slot.kept.copy()
    kept[slot.kept] = fresh
    reasons = slot.reasons[fresh]
    return replace(slot, kept=kept, patches=slot.patches[fresh], reasons=reasons)


def dilated(mask: Mask, ring: int) -> Mask:
    """The mask [rows, cols] and all within `ring` cells of it, diagonals included."""
    rows, cols = mask.shape
    padded = np.zeros((rows + 2 * ring, cols + 2 * ring), np.bool_)
    padded[ring : ring + rows, ring : ring + cols] = mask
    steps = range(2 * ring + 1)
    shifted = [padded[r : r + rows, c : c + cols] for r in steps for c in steps]
    widened: Mask = np.logical_or.reduce(shifted)
    return widened


class LatestFeatures:
    """Starts with an anchor, which holds every cell, and takes in each slot after it."""

    def __init__(self) -> None:
        self._features: CellFeatures | None = None

    def update(self, kept: NDArray[np.bool_], features: CellFeatures) -> None:
        """Take in the features of the `kept` cells ([rows, cols])."""
        if self._features is None:
            self._features = CellFeatures(features.embeddings.clone(), features.deepstack.clone())
            return
        cells = torch.from_numpy(np.flatnonzero(kept)).to(features.embeddings.device)
        self._features.embeddings[cells] = features.embeddings
        self._features.deepstack[:, cells] = features.deepstack

    def of(self, kept: NDArray[np.bool_]) -> CellFeatures:
        """Those of the `kept` cells ([rows, cols])."""
        return self.features.select(np.flatnonzero(kept))

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return 0 if self._features is None else self._features.nbytes

    @property
    def features(self) -> CellFeatures:
        """Every cell, row by row."""
        if self._features is None:
            raise RuntimeError("a canvas is read after its first anchor only")
        return self._features
