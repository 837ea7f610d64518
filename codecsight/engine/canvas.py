"""The newest thing the ViT said of every cell of a stream."""

import numpy as np
import torch
from numpy.typing import NDArray

from codecsight.models.base import CellFeatures


class Canvas:
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
