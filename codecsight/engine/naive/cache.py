"""Contiguous keys and values of one stream, and the two caches that forward passes use on them.

A `PrefillCache` writes at given positions of the window. A `ForkCache` reads the window and keeps
what is added to itself. transformers' attention layers call `update` of either and attend to what
it returns; the mask decides which token attends to which.
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
    """A contiguous cache of `capacity` tokens, allocated once; the first `length` are in use."""

    def __init__(self, shape: KVShape, capacity: int) -> None:
        size = (shape.layers, shape.heads, capacity, shape.head_dim)
        self.keys = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.length = 0

    def layer(self, index: int, length: int) -> KV:
        """A view of the first `length` tokens of one layer."""
        return self.keys[index, None, :, :length], self.values[index, None, :, :length]

    def fork(self, length: int) -> "ForkCache":
        """A branch that attends to the first `length` tokens."""
        return ForkCache([self.layer(index, length) for index in range(len(self.keys))])

    def keep(self, positions: Tensor) -> None:
        """Drop all tokens but those at `positions` (int64 [n]), and close the gaps."""
        for store in (self.keys, self.values):
            store[:, :, : len(positions)] = store[:, :, positions]
        self.length = len(positions)


class PrefillCache(Cache):  # type: ignore[misc]
    """The cache of a pass whose tokens go to `positions` of the window (int64 [tokens])."""

    def __init__(self, window: WindowKV, positions: Tensor) -> None:
        super().__init__(layers=[])
        self._window = window
        self._positions = positions.to(window.keys.device)
        window.length = max(window.length, int(positions.max()) + 1)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> KV:
        """Write one layer's new keys and values; returns those of the whole window."""
        self._window.keys[layer_idx, :, self._positions] = key_states[0]
        self._window.values[layer_idx, :, self._positions] = value_states[0]
        return self._window.layer(layer_idx, self._window.length)


class ForkCache(Cache):  # type: ignore[misc]
    """A branch of a sequence: its base, and the tokens that were added to it. Nothing is written
    in place, so that branches can share a base.
    """

    def __init__(self, base: Sequence[KV]) -> None:
        super().__init__(layers=[])
        self._layers = list(base)

    @property
    def length(self) -> int:
        """Tokens it holds, base included."""
        return self._layers[0][0].shape[2]

    def add(self, keys: Tensor, values: Tensor) -> None:
        """Add tokens with known keys and values [layers, heads, tokens, d]."""
        self._layers = [
            (torch.cat([old[0], key[None]], dim=2), torch.cat([old[1], value[None]], dim=2))
            for old, key, value in zip(self._layers, keys, values, strict=True)
        ]

    def branch(self) -> "ForkCache":
        """A new branch of what this one holds now."""
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
