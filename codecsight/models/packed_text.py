"""A text model's own layers over many sequences at once, in fewer and larger operations.

The weights are transformers' own; what changes is the order of the work. Queries, keys and values
come of one multiplication, and so do the two halves of the MLP. In the last layer every token
leaves its key and value, but only those go on whose logits are read: nobody looks at the others.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from codecsight.models.base import Attend
from codecsight.models.packing import Turn, fused, scaled, turned

Deepstack = tuple[Tensor, Tensor]
"""Tokens (int64 [cells]) to which a level is added after each of the first layers, and the levels
[levels, cells, width]."""


class PackedText:
    """The layers of a `text` model of transformers that is built like Llama's or Qwen's."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._layers = [_Layer(index, layer) for index, layer in enumerate(text.layers)]

    def __call__(
        self, hidden: Tensor, turn: Turn, attend: Attend, read: Tensor, deepstack: Deepstack
    ) -> Tensor:
        """From embeddings [n, width] of tokens that stand where `turn` says to what the tokens
        `read` (int64 [r]) have become: [r, width].
        """
        visual, levels = deepstack
        for layer in self._layers[:-1]:
            hidden = layer(hidden, turn, attend)
            if layer.index < len(levels):
                hidden.index_add_(0, visual, levels[layer.index])
        return norm(self._text.norm, self._layers[-1].last(hidden, turn, attend, read))


class _Layer:
    """One decoder layer. Heads lie side by side: queries, keys, values."""

    def __init__(self, index: int, layer: Any) -> None:
        self.index, self._layer, self._attention = index, layer, layer.self_attn
        self._mlp = _mlp(layer.mlp)
        attention = layer.self_attn
        parts = attention.q_proj, attention.k_proj, attention.v_proj
        self._weight, self._bias = fused(*parts)
        self._width = attention.head_dim
        self._queries, self._keys = (part.out_features // self._width for part in parts[:2])
        self._scale = _head_scale(attention, self._queries, self._keys)

    def __call__(self, hidden: Tensor, turn: Turn, attend: Attend) -> Tensor:
        """[n, width] to the same."""
        heads = self._heads(norm(self._layer.input_layernorm, hidden), slice(None))
        turning = self._queries + self._keys
        turned = self._turned(heads[:, :turning], turn, slice(None))
        query, key = turned[:, : self._queries], turned[:, self._queries :]
        return self._beyond(hidden, attend(self.index, query, key, heads[:, turning:], False))

    def last(self, hidden: Tensor, turn: Turn, attend: Attend, read: Tensor) -> Tensor:
        """[n, width] to [r, width]: what the tokens `read` come to."""
        ready = norm(self._layer.input_layernorm, hidden)
        asking, asked = slice(self._queries), slice(self._queries, None)
        heads = self._heads(ready, asked)
        key = self._turned(heads[:, : self._keys], turn, asked)
        there = turn[0][read], turn[1][read]
        query = self._turned(self._heads(ready[read], asking), there, asking)
        return self._beyond(
            hidden[read], attend(self.index, query, key, heads[:, self._keys :], True)
        )

    def _heads(self, ready: Tensor, which: slice) -> Tensor:
        """Some heads of all tokens: [n, width] to [n, heads, head_dim]."""
        rows = slice(*(each and each * self._width for each in (which.start, which.stop)))
        bias = None if self._bias is None else self._bias[rows]
        heads = linear(ready, self._weight[rows], bias)
        return heads.view(len(ready), heads.shape[1] // self._width, self._width)

    def _turned(self, heads: Tensor, turn: Turn, which: slice) -> Tensor:
        """Queries and keys [n, heads, head_dim], normed and turned to where their tokens stand."""
        if self._scale is not None:
            weight, epsilon = self._scale
            heads = scaled(heads, weight[which], epsilon)
        return turned(heads, turn)

    def _beyond(self, hidden: Tensor, seen: Tensor) -> Tensor:
        """What follows attention: [n, width] and [n, queries, head_dim] to [n, width]."""
        hidden = hidden + self._attention.o_proj(seen.flatten(1))
        return hidden.add_(self._mlp(norm(self._layer.post_attention_layernorm, hidden)))


def norm(module: Any, hidden: Tensor) -> Tensor:
    """A norm of transformers' text models."""
    return scaled(hidden, module.weight, module.variance_epsilon)


def _head_scale(attention: Any, queries: int, keys: int) -> tuple[Tensor, float] | None:
    """Weights [queries + keys, head_dim] and epsilon of the norms of queries and keys, if any."""
    if not hasattr(attention, "q_norm"):
        return None
    query, key = attention.q_norm.weight, attention.k_norm.weight
    weight = torch.cat([query.expand(queries, -1), key.expand(keys, -1)])
    return weight, attention.q_norm.variance_epsilon


def _mlp(mlp: Any) -> Callable[[Tensor], Tensor]:
    """[n, width] to the same. What isn't built in two halves (experts) is called as it is."""
    if not hasattr(mlp, "gate_proj"):
        return lambda hidden: _first(mlp(hidden[None]))[0]
    weight, bias = fused(mlp.gate_proj, mlp.up_proj)

    def halves(hidden: Tensor) -> Tensor:
        gate, up = linear(hidden, weight, bias).chunk(2, dim=-1)  # each [n, inner]
        out: Tensor = mlp.down_proj(mlp.act_fn(gate).mul_(up))
        return out

    return halves


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found
