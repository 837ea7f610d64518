"""Keys and values of one stream's cells in the ViT's layers."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class VisionKVCache:
    """What the ViT's layers left of one stream's cells, for cells that come later to attend to:
    `kv` [layers, 2, patches, heads, head_dim], keys (turned to their places) and values of the
    whole picture, cell by cell. Whoever encodes writes into it.
    """

    kv: Tensor

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return self.kv.nbytes

    def update(self, layer: int, rows: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put those of some patches (`rows`, int64 [n]) in the place of what was known of them:
        [n, heads, head_dim] each. Returns those of all: [patches, heads, head_dim] each.
        """
        keys, values = self.kv[layer].unbind()
        return keys.index_copy_(0, rows, key), values.index_copy_(0, rows, value)
