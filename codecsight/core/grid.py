"""Mapping from a source picture to the model's cells (groups of merged ViT patches)."""

import hashlib
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridSpec:
    """Input requirements of a model, which the cloud sends to the edge in its Welcome message.

    `cell` is the side of a cell in pixels; a cell is one visual token of the language model, a
    merge group of ViT patches. `frames` is the number of sampled frames in a slot (the temporal
    patch size), `rate` the sampling rate in frames per second, `max_cells` the maximum number of
    cells in a picture. With `square` (models trained on square pictures only) every picture is
    scaled to a square, whatever its aspect ratio.
    """

    cell: int
    frames: int
    rate: float
    max_cells: int
    square: bool = False

    @property
    def fingerprint(self) -> str:
        """Eight hash bytes in hex. Both sides compare it to reject cells cut for another model."""
        text = f"{self.cell}/{self.frames}/{self.rate:g}/{self.max_cells}{'/square' * self.square}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def slot_seconds(self) -> float:
        """Stream time covered by one slot, in seconds."""
        return self.frames / self.rate

    def fit(self, width: int, height: int) -> "PatchGrid":
        """The grid for a `width` x `height` picture: as close to `max_cells` as possible while each
        cell covers a nearly square area of the source.
        """
        if self.square:
            side = math.isqrt(self.max_cells)
            return PatchGrid(self, side, side)
        aspect = width / height
        ideal = math.sqrt(self.max_cells / aspect)
        shapes = [self._shape(rows, aspect) for rows in (math.floor(ideal), math.ceil(ideal))]
        rows, cols = max(
            shapes, key=lambda shape: math.prod(shape) * _squareness(shape, aspect) ** 2
        )
        return PatchGrid(self, rows, cols)

    def _shape(self, rows: int, aspect: float) -> tuple[int, int]:
        rows = min(max(rows, 1), self.max_cells)
        return rows, max(1, min(round(rows * aspect), self.max_cells // rows))


def _squareness(shape: tuple[int, int], aspect: float) -> float:
    """Ratio of a cell's shorter to its longer side in the source: 1 for a square."""
    ratio = shape[1] / shape[0] / aspect
    return min(ratio, 1 / ratio)


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The cell grid of one stream: `rows` x `cols` cells, each `spec.cell` input pixels square.

    The whole source picture is scaled to `width` x `height` pixels, so cell (r, c) covers the
    source rectangle [r/rows, (r+1)/rows) x [c/cols, (c+1)/cols).
    """

    spec: GridSpec
    rows: int
    cols: int

    @property
    def width(self) -> int:
        """Model input width in pixels."""
        return self.cols * self.spec.cell

    @property
    def height(self) -> int:
        """Model input height in pixels."""
        return self.rows * self.spec.cell

    @property
    def cells(self) -> int:
        """Number of cells in a picture: the visual tokens of an unpruned slot."""
        return self.rows * self.cols
