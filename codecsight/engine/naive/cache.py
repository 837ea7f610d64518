"""Keys and values of one stream, and the two ways a forward pass may touch them.

A `PrefillCache` writes at given places of the window; a `ForkCache` reads the window and
keeps its own additions to itself. transformers' attention layers call `update` of
either and attend to what it returns; the mask decides which token attends to which.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from codecsight.models.base import KVShape

KV = tuple[Tensor, Tensor]
"""Keys and values of one layer: each [1, heads, tokens, head_dim]."""


class WindowKV:
    """A contiguous cache for up to `capacity` tokens, allocated once; the first `length` count."""

    def __init__(self, shape: KVShape, capacity: int) -> None:
        size = (shape.layers, shape.heads, capacity, shape.head_dim)
        self.keys = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.length = 0

    def layer(self, index: int, length: int) -> KV:
        """A view of the first `length` tokens of one layer."""
        return self.keys[index, None, :, :length], self.values[index, None, :, :length]

    def fork(self, length: int) -> "ForkCache":
        """A branch that sees the first `length` tokens."""
        return ForkCache([self.layer(index, length) for index in range(len(self.keys))])

    def keep(self, places: Tensor) -> None:
        """Close the gaps between the places (int64) that stay."""
        for store in (self.keys, self.values):
            store[:, :, : len(places)] = store[:, :, places]
        self.length = len(places)


class PrefillCache(Cache):  # type: ignore[misc]
    """One pass whose tokens land at `places` of the window (int64 [tokens])."""

    def __init__(self, window: WindowKV, places: Tensor) -> None:
        super().__init__(layers=[])
        self._window = window
        self._places = places.to(window.keys.device)
        window.length = max(window.length, int(places.max()) + 1)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> KV:
        """Write one layer's new keys and values; returns the whole window's."""
        self._window.keys[layer_idx, :, self._places] = key_states[0]
        self._window.values[layer_idx, :, self._places] = value_states[0]
        return self._window.layer(layer_idx, self._window.length)


class ForkCache(Cache):  # type: ignore[misc]
    """A branch of a sequence: it sees its base and what it was given itself. Nothing is written
    in place, so that bases can be shared and thrown away.
    """

    def __init__(self, base: Sequence[KV]) -> None:
        super().__init__(layers=[])
        self._layers = list(base)

    @property
    def length(self) -> int:
        """Tokens it holds, base included."""
        return self._layers[0][0].shape[2]

    def add(self, keys: Tensor, values: Tensor) -> None:
        """Add tokens whose keys and values [layers, heads, tokens, d] are known."""
        self._layers = [
            (torch.cat([old[0], key[None]], dim=2), torch.cat([old[1], value[None]], dim=2))
            for old, key, value in zip(self._layers, keys, values, strict=True)
        ]

    def branch(self) -> "ForkCache":
        """A fork that starts from what this one holds now."""
        return ForkCache(self._layers)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> KV:
        """Add one layer's new keys and values; returns all."""
        keys, values = self._layers[layer_idx]
        self._layers[layer_idx] = (
            torch.cat([keys, key_states], dim=2),
            torch.cat([values, value_states], dim=2),
        )
        return self._layers[layer_idx]
