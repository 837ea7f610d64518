"""Cached keys and values of one stream's cells in the layers of the ViT."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class VisionKVCache:
    """Keys and values of a whole picture's patches in every ViT layer, as last encoded.

    With it, the changed cells of a delta slot attend to all cells of the picture: to themselves as
    they are now, and to the unchanged cells as they were encoded in earlier slots. `kv` is
    [layers, 2, patches, heads, head_dim], keys (rotated to their positions) and values, in
    row-major order of the cells, the patches of a cell adjacent. The encoder updates it in place.
    """

    kv: Tensor

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.kv.nbytes

    def update(
        self, layer: int, patches: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Overwrite the keys and values [n, heads, head_dim] of the patches with the indices
        `patches` (int64 [n]). Returns those of all patches: [all, heads, head_dim] each.
        """
        keys, values = self.kv[layer].unbind()
        return keys.index_copy_(0, patches, key), values.index_copy_(0, patches, value)
