"""The model's view of a picture: cells of merged patches, mapped to source pixels."""

import hashlib
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridSpec:
    """What a model asks of the edge; the cloud sends it in its Welcome.

    `cell` is the side in pixels of one cell: one visual token of the language model, a merge
    group of ViT patches. `frames` is how many sampled frames one slot holds (the temporal patch),
    `rate` how many frames per second are sampled, `max_cells` the most cells a picture may have.
    A model that was shown `square` pictures alone is shown all pictures so, whatever their aspect.
    """

    cell: int
    frames: int
    rate: float
    max_cells: int
    square: bool = False

    @property
    def fingerprint(self) -> str:
        """Eight bytes in hex that two sides compare, so that cells of another model are refused."""
        text = f"{self.cell}/{self.frames}/{self.rate:g}/{self.max_cells}{'/square' * self.square}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def slot_seconds(self) -> float:
        """How much stream time one slot covers."""
        return self.frames / self.rate

    def fit(self, width: int, height: int) -> "PatchGrid":
        """The grid for a `width` x `height` picture: as many of `max_cells` as can be used while
        each cell covers nearly a square of the source.
        """
        if self.square:
            side = math.isqrt(self.max_cells)
            return PatchGrid(self, side, side)
        aspect = width / height
        ideal = math.sqrt(self.max_cells / aspect)
        shapes = [self._shape(rows, aspect) for rows in (math.floor(ideal), math.ceil(ideal))]
        rows, cols = max(shapes, key=lambda shape: math.prod(shape) * _square(shape, aspect) ** 2)
        return PatchGrid(self, rows, cols)

    def _shape(self, rows: int, aspect: float) -> tuple[int, int]:
        rows = min(max(rows, 1), self.max_cells)
        return rows, max(1, min(round(rows * aspect), self.max_cells // rows))


def _square(shape: tuple[int, int], aspect: float) -> float:
    """How square a cell is in the source: 1 for a square, the ratio of its sides otherwise."""
    ratio = shape[1] / shape[0] / aspect
    return min(ratio, 1 / ratio)


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The cells of one stream: `rows` x `cols`, each `spec.cell` pixels of model input square.

    The whole source picture is scaled to `width` x `height`, so cell (r, c) covers the source
    rectangle [r/rows, (r+1)/rows) x [c/cols, (c+1)/cols).
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
        """How many cells a whole picture has: the dense number of visual tokens in a slot."""
        return self.rows * self.cols
