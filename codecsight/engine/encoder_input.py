"""What the ViT encodes of a slot, and the newest features of every cell of a stream.

A cell encoded without its surroundings is described worse: the features of a cell with a person's
head depend on the cells with the legs. There are two remedies:

- With a vision KV cache (Qwen3-VL), new cells attend, layer by layer, to the cached keys and values
  of all other cells of the stream. That costs attention and nothing else.
- Otherwise the ViT encodes the neighbours of the kept cells as well, from the pixels that were
  shipped last, and the features of the neighbours are discarded.

An anchor has every cell, so that a stream can start with it. In a later anchor most cells look as
they did; their features are still valid, and the ViT skips them.

Example: grid of 3 x 4 cells, neighbour radius 1, no vision KV cache, a delta with one changed cell
in a corner. `prepare` returns an EncodeRequest with

    slot.kept        [3, 4]                      4 cells: the corner and its three neighbours
    slot.patches     [4, frames, 3, cell, cell]
    encoded_cells    [0]                         index of the changed cell among the four
    changed          [3, 4]                      the corner alone

and the ViT returns features [1, d] for the corner.
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

_BLOCK = 4  # pixels a side; means over such blocks cancel noise and coding artefacts


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """What the ViT encodes for one slot. `slot` holds the `changed` cells [rows, cols] and perhaps
    their neighbours; `encoded_cells` are the indices of the changed ones among its kept cells, for
    which features are wanted. With a `vision_cache` they attend to all cached cells.
    """

    slot: Slot
    encoded_cells: NDArray[np.intp]
    changed: Mask
    vision_cache: VisionKVCache | None = None

    def flops(self, meter: FlopMeter) -> int:
        """Operations of the ViT for this request."""
        kept = self.slot.kept
        return (
            meter.vit_cached(kept)
            if self.vision_cache
            else meter.vit(kept, len(self.encoded_cells))
        )


class EncoderInput:
    """Prepares the slots of one stream for the ViT. Holds the pixels that were encoded last of
    every cell, [rows, cols, frames, 3, cell, cell] uint8 after the first anchor, and the stream's
    vision KV cache, if any. `neighbour_radius` and `static_threshold` as in `EngineConfig`.
    """

    def __init__(
        self,
        neighbour_radius: int,
        static_threshold: float = 0.0,
        vision_cache: VisionKVCache | None = None,
    ) -> None:
        self._radius, self._threshold = neighbour_radius, static_threshold
        self._vision_cache = vision_cache
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return 0 if self._pixels is None else self._pixels.nbytes

    def prepare(self, slot: Slot) -> EncodeRequest:
        """What to encode of the stream's next slot; stores its pixels."""
        changed = self._changed(slot)
        if not changed.all():
            slot = _only(slot, changed)
        kept = slot.kept
        pixels = self._store(slot)
        if self._vision_cache or self._radius == 0 or slot.kept_count in (0, slot.cell_count):
            return EncodeRequest(slot, np.arange(slot.kept_count), kept, self._vision_cache)
        wide = dilate(kept, self._radius)
        # Neighbours did not change: their newest frame is used for all frames of the slot.
        patches = np.repeat(pixels[wide][:, -1:], pixels.shape[2], axis=1)
        encoded_cells = np.flatnonzero(kept[wide])
        patches[encoded_cells] = slot.patches
        reasons = np.ones(len(patches), np.uint8)  # any: the ViT does not read them
        widened = replace(slot, kept=wide, patches=patches, reasons=reasons)
        return EncodeRequest(widened, encoded_cells, kept)

    def _changed(self, slot: Slot) -> Mask:
        """Mask [kept] of the slot's cells that must be encoded."""
        # Without a vision KV cache an anchor is encoded whole, the one time that its cells attend
        # to the whole picture.
        pixels = self._pixels if self._vision_cache is not None and self._threshold else None
        if pixels is not None and slot.kind is SlotKind.ANCHOR:
            return changed_cells(slot.patches, pixels[slot.kept], self._threshold)
        return np.ones(slot.kept_count, np.bool_)

    def _store(self, slot: Slot) -> NDArray[np.uint8]:
        # Skipped cells keep their old pixels: slow changes add up until they pass the threshold.
        if self._pixels is None:
            self._pixels = np.zeros((*slot.kept.shape, *slot.patches.shape[1:]), np.uint8)
        self._pixels[slot.kept] = slot.patches
        return self._pixels


class LatestFeatures:
    """The newest ViT features of every cell of a stream: complete after the first anchor, and
    updated with each slot after it.
    """

    def __init__(self) -> None:
        self._features: CellFeatures | None = None

    def update(self, cells: Mask, features: CellFeatures) -> None:
        """Store the features of the `cells` [rows, cols]; the first time these are all cells."""
        if self._features is None:
            self._features = CellFeatures(features.embeddings.clone(), features.deepstack.clone())
            return
        indices = torch.from_numpy(np.flatnonzero(cells)).to(features.embeddings.device)
        self._features.embeddings[indices] = features.embeddings
        self._features.deepstack[:, indices] = features.deepstack

    def of(self, cells: Mask) -> CellFeatures:
        """The features of the `cells` [rows, cols], row by row."""
        return self.features.select(np.flatnonzero(cells))

    @property
    def nbytes(self) -> int:
        """Bytes of the features."""
        return 0 if self._features is None else self._features.nbytes

    @property
    def features(self) -> CellFeatures:
        """The features of every cell, row by row."""
        if self._features is None:
            raise RuntimeError("features are available only after the first anchor was encoded")
        return self._features


def changed_cells(new: NDArray[np.uint8], old: NDArray[np.uint8], threshold: float) -> Mask:
    """Mask [cells] of the cells [cells, frames, 3, cell, cell] in which the mean of a block of
    4 x 4 pixels differs by more than `threshold` grey levels, in any frame and colour.
    """
    block = math.gcd(new.shape[3], _BLOCK)
    found = np.zeros(len(new), np.bool_)
    _changed_cells(new, old, block, np.int32(threshold * block * block), found)
    return found


@cached_njit
def _changed_cells(
    new: NDArray[np.uint8], old: NDArray[np.uint8], block: int, limit: np.int32, found: Mask
) -> None:
    cells, frames, colours, side, _ = new.shape
    for cell in range(cells):
        for frame in range(frames):
            for colour in range(colours):
                if not found[cell]:
                    here, there = new[cell, frame, colour], old[cell, frame, colour]
                    found[cell] = _plane_changed(here, there, side, block, limit)


@cached_njit
def _plane_changed(
    new: NDArray[np.uint8], old: NDArray[np.uint8], side: int, block: int, limit: np.int32
) -> bool:
    """The same for one colour of one frame, [side, side]; `limit` applies to the sum of a block."""
    sums = np.empty(side // block, np.int32)
    for top in range(0, side, block):
        sums[:] = 0
        for y in range(top, top + block):
            for x in range(side):
                sums[x // block] += np.int32(new[y, x]) - np.int32(old[y, x])
        for total in sums:
            if abs(total) > limit:
                return True
    return False


def _only(slot: Slot, chosen: Mask) -> Slot:
    """The slot with only its `chosen` [kept] cells."""
    kept = slot.kept.copy()
    kept[slot.kept] = chosen
    reasons = slot.reasons[chosen]
    return replace(slot, kept=kept, patches=slot.patches[chosen], reasons=reasons)


def dilate(mask: Mask, radius: int) -> Mask:
    """The mask [rows, cols] and all cells within `radius` of it, diagonals included."""
    rows, cols = mask.shape
    padded = np.zeros((rows + 2 * radius, cols + 2 * radius), np.bool_)
    padded[radius : radius + rows, radius : radius + cols] = mask
    steps = range(2 * radius + 1)
    shifted = [padded[r : r + rows, c : c + cols] for r in steps for c in steps]
    widened: Mask = np.logical_or.reduce(shifted)
    return widened
