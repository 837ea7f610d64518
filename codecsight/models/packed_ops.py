"""Operations of the packed layers: fused weights, rotary embedding, RMS norm."""

from typing import Any

import torch
from torch import Tensor

RotaryTable = tuple[Tensor, Tensor]
"""Cosines and signed sines at the tokens' positions, each [n, 1, head_dim] (see `signed_sines`)."""


@torch.no_grad()
def fuse_linear(*layers: Any) -> tuple[Tensor, Tensor | None]:
    """The weights (and biases) of linear layers stacked: [sum of outputs, inputs].

    The layers' own parameters become views of the stacked ones, so no memory is used twice.
    """
    weight = torch.cat([layer.weight for layer in layers])
    _make_views([layer.weight for layer in layers], weight)
    if layers[0].bias is None:
        return weight, None
    bias = torch.cat([layer.bias for layer in layers])
    _make_views([layer.bias for layer in layers], bias)
    return weight, bias


def _make_views(parameters: list[Any], stacked: Tensor) -> None:
    views = torch.split(stacked, [len(parameter) for parameter in parameters])
    for parameter, view in zip(parameters, views, strict=True):
        parameter.data = view


def signed_sines(sin: Tensor) -> Tensor:
    """Sines [..., d] with the first half negated, as `apply_rotary` needs them."""
    return torch.cat([-sin[..., : sin.shape[-1] // 2], sin[..., sin.shape[-1] // 2 :]], dim=-1)


def apply_rotary(heads: Tensor, rotary: RotaryTable) -> Tensor:
    """Queries or keys [n, heads, d], rotated to their tokens' positions.

    Equal to transformers' `rotate_half` form: rolling by half a head swaps the halves, and the sign
    of the sines replaces the negation.
    """
    cos, sin = rotary
    return (heads * cos + heads.roll(heads.shape[-1] // 2, -1) * sin).to(heads.dtype)


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm over the last axis, computed in float32."""
    wide = hidden.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(hidden.dtype)
