"""Packed forward pass of a text model: many sequences at once, in fewer and larger operations.

The weights are transformers' own; only the order of the work differs. One matrix multiplication
computes queries, keys and values, another one both halves of the MLP. In the last layer keys and
values are computed for every token, because other tokens attend to them, but queries and the MLP
only for the tokens whose logits are read. With n tokens of all sequences and r read tokens:

    layers 0 .. L-2    [n, width] -> [n, width]
    layer L-1          [n, width] -> [r, width]
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from codecsight.models.base import AttentionFunction
from codecsight.models.packed_ops import RotaryTable, apply_rotary, fuse_linear, rms_norm

Deepstack = tuple[Tensor, Tensor]
"""Indices of the visual tokens (int64 [cells]), and the features added to them after each of the
first layers: [levels, cells, width]."""


class PackedText:
    """Decoder layers and final norm of a transformers text model built like Llama's or Qwen's."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._layers = [_Layer(index, layer) for index, layer in enumerate(text.layers)]

    def __call__(
        self,
        hidden: Tensor,
        rotary: RotaryTable,
        attend: AttentionFunction,
        read: Tensor,
        deepstack: Deepstack,
    ) -> Tensor:
        """Final hidden states [r, width] of the tokens `read` (int64 [r]).

        `hidden` [n, width] are the token embeddings and is modified in place; `rotary` holds the
        tokens' positions.
        """
        visual, levels = deepstack
        for layer in self._layers[:-1]:
            hidden = layer(hidden, rotary, attend)
            if layer.index < len(levels):
                hidden.index_add_(0, visual, levels[layer.index])
        return norm(self._text.norm, self._layers[-1].last(hidden, rotary, attend, read))


class _Layer:
    """One decoder layer. Its fused projection gives queries, keys and values, in this order."""

    def __init__(self, index: int, layer: Any) -> None:
        self.index, self._layer, self._attention = index, layer, layer.self_attn
        self._mlp = _mlp(layer.mlp)
        attention = layer.self_attn
        projections = attention.q_proj, attention.k_proj, attention.v_proj
        self._weight, self._bias = fuse_linear(*projections)
        self._width = attention.head_dim
        self._queries, self._keys = (each.out_features // self._width for each in projections[:2])
        self._head_norm = _head_norm(attention, self._queries, self._keys)

    def __call__(self, hidden: Tensor, rotary: RotaryTable, attend: AttentionFunction) -> Tensor:
        """All tokens: [n, width] to [n, width]."""
        heads = self._project(norm(self._layer.input_layernorm, hidden), slice(None))
        rotated_heads = self._queries + self._keys
        rotated = self._rotate(heads[:, :rotated_heads], rotary, slice(None))
        query, key = rotated[:, : self._queries], rotated[:, self._queries :]
        attended = attend(self.index, query, key, heads[:, rotated_heads:], False)
        return self._after_attention(hidden, attended)

    def last(
        self, hidden: Tensor, rotary: RotaryTable, attend: AttentionFunction, read: Tensor
    ) -> Tensor:
        """Keys and values of all tokens, outputs of the tokens `read` only: [n, width] to
        [r, width].
        """
        normed = norm(self._layer.input_layernorm, hidden)
        query_heads, key_value_heads = slice(self._queries), slice(self._queries, None)
        heads = self._project(normed, key_value_heads)
        key = self._rotate(heads[:, : self._keys], rotary, key_value_heads)
        rotary_read = rotary[0][read], rotary[1][read]
        query = self._rotate(self._project(normed[read], query_heads), rotary_read, query_heads)
        return self._after_attention(
            hidden[read], attend(self.index, query, key, heads[:, self._keys :], True)
        )

    def _project(self, normed: Tensor, which: slice) -> Tensor:
        """Some of the query, key and value heads: [n, width] to [n, heads, head_dim]."""
        rows = slice(*(each and each * self._width for each in (which.start, which.stop)))
        bias = None if self._bias is None else self._bias[rows]
        heads = linear(normed, self._weight[rows], bias)
        return heads.view(len(normed), heads.shape[1] // self._width, self._width)

    def _rotate(self, heads: Tensor, rotary: RotaryTable, which: slice) -> Tensor:
        """Query and key heads [n, heads, head_dim], normed and rotated to their positions."""
        if self._head_norm is not None:
            weight, epsilon = self._head_norm
            heads = rms_norm(heads, weight[which], epsilon)
        return apply_rotary(heads, rotary)

    def _after_attention(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Output projection, MLP and both residuals: [n, width] and [n, queries, head_dim] to
        [n, width].
        """
        hidden = hidden + self._attention.o_proj(attended.flatten(1))
        return hidden.add_(self._mlp(norm(self._layer.post_attention_layernorm, hidden)))


def norm(module: Any, hidden: Tensor) -> Tensor:
    """Apply an RMS norm module of a transformers text model."""
    return rms_norm(hidden, module.weight, module.variance_epsilon)


def _head_norm(attention: Any, queries: int, keys: int) -> tuple[Tensor, float] | None:
    """Weights [queries + keys, head_dim] and epsilon of the query and key norms, if there are any.

    One weight row per head, so that queries and keys are normed in one operation.
    """
    if not hasattr(attention, "q_norm"):
        return None
    query, key = attention.q_norm.weight, attention.k_norm.weight
    weight = torch.cat([query.expand(queries, -1), key.expand(keys, -1)])
    return weight, attention.q_norm.variance_epsilon


def _mlp(mlp: Any) -> Callable[[Tensor], Tensor]:
    """The MLP as a function [n, width] to [n, width], with gate and up projection fused. A block
    without these two (mixture of experts) is called as it is.
    """
    if not hasattr(mlp, "gate_proj"):
        return lambda hidden: _first(mlp(hidden[None]))[0]
    weight, bias = fuse_linear(mlp.gate_proj, mlp.up_proj)

    def fused(hidden: Tensor) -> Tensor:
        gate, up = linear(hidden, weight, bias).chunk(2, dim=-1)  # each [n, inner]
        out: Tensor = mlp.down_proj(mlp.act_fn(gate).mul_(up))
        return out

    return fused


def _first(output: Any) -> Any:
    """The hidden states of an expert block's output, which may come with router logits."""
    return output[0] if isinstance(output, tuple) else output
