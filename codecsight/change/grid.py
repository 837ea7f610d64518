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
    """

    cell: int
    frames: int
    rate: float
    max_cells: int

    @property
    def fingerprint(self) -> str:
        """Eight bytes in hex that two sides compare, so that cells of another model are refused."""
        text = f"{self.cell}/{self.frames}/{self.rate:g}/{self.max_cells}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def slot_seconds(self) -> float:
        """How much stream time one slot covers."""
        return self.frames / self.rate

    def fit(self, width: int, height: int) -> "PatchGrid":
        """The largest grid within `max_cells` whose cells are nearest to square in the source."""
        aspect = width / height
        best = max(
            (
                (rows, cols)
                for rows in range(1, self.max_cells + 1)
                for cols in (max(1, round(rows * aspect)),)
                if rows * cols <= self.max_cells
            ),
            key=lambda shape: (shape[0] * shape[1], -abs(math.log(shape[1] / shape[0] / aspect))),
            default=(1, 1),
        )
        return PatchGrid(self, rows=best[0], cols=best[1])


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
