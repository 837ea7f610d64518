"""Projection of values on the codec's block grid to the model's cells over the same picture."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codecsight.core.grid import PatchGrid


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Maps values on a block grid to cells by the area that blocks and cells share.

    `row_blocks` [rows, k] and `col_blocks` [cols, k] list the blocks under each cell; the last one
    is repeated where a cell has fewer than k. `row_weights` [rows, block rows] and `col_weights`
    [cols, block cols] are the shares of each cell that lie on each block; every row sums to 1.
    """

    row_blocks: NDArray[np.intp]
    col_blocks: NDArray[np.intp]
    row_weights: NDArray[np.float32]
    col_weights: NDArray[np.float32]

    def peak(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """[block rows, block cols] -> [rows, cols]: largest value over all overlapping blocks (the
        "projected footprints" of CodecSight, arXiv 2604.06036v4, Eq. 3).
        """
        by_row: NDArray[np.float32] = blocks[self.row_blocks].max(axis=1)
        peak: NDArray[np.float32] = by_row[:, self.col_blocks].max(axis=2)
        return peak

    def mean(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """[block rows, block cols] -> [rows, cols]: area-weighted mean."""
        return np.asarray(self.row_weights @ blocks @ self.col_weights.T, np.float32)


@lru_cache(maxsize=32)
def projection(
    blocks: tuple[int, int], block: int, size: tuple[int, int], grid: PatchGrid
) -> Projection:
    """The projection from `blocks` (rows, cols) of `block` pixels onto `grid`, for a picture of
    `size` (height, width) pixels. The last blocks may extend beyond the picture: H.264 codes 1080
    lines as 68 rows of 16.
    """
    row_blocks, row_weights = _axis(blocks[0], block, size[0], grid.rows)
    col_blocks, col_weights = _axis(blocks[1], block, size[1], grid.cols)
    return Projection(row_blocks, col_blocks, row_weights, col_weights)


def _axis(
    blocks: int, block: int, length: int, cells: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Blocks under each cell [cells, k], and their weights [cells, blocks], along one axis of
    `length` pixels.
    """
    edges = np.arange(cells + 1) * (length / cells)
    cell_start, cell_end = edges[:-1, None], edges[1:, None]
    block_start = np.arange(blocks) * block
    overlap = np.clip(
        np.minimum(cell_end, block_start + block) - np.maximum(cell_start, block_start), 0, None
    )
    # A block grid smaller than the picture leaves cells without a block: they use the last one.
    overlap[overlap.sum(axis=1) <= 0, -1] = 1
    first = (overlap > 0).argmax(axis=1)
    count = (overlap > 0).sum(axis=1)
    steps = np.minimum(np.arange(count.max()), count[:, None] - 1)
    weights = overlap / overlap.sum(axis=1, keepdims=True)
    return first[:, None] + steps, weights.astype(np.float32)
