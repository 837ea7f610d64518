"""What packed layers are made of: weights side by side, rotations, norms."""

from typing import Any

import torch
from torch import Tensor

Turn = tuple[Tensor, Tensor]
"""Cosines and signed sines of where tokens stand, each [n, 1, head_dim] (see `signed`)."""


@torch.no_grad()
def fused(*parts: Any) -> tuple[Tensor, Tensor | None]:
    """The weights (and biases) of linear layers side by side, [sum of outputs, inputs]. The layers
    keep theirs as views of it, so that nothing is held twice.
    """
    weight = torch.cat([part.weight for part in parts])
    _share([part.weight for part in parts], weight)
    if parts[0].bias is None:
        return weight, None
    bias = torch.cat([part.bias for part in parts])
    _share([part.bias for part in parts], bias)
    return weight, bias


def _share(parts: list[Any], whole: Tensor) -> None:
    views = torch.split(whole, [len(part) for part in parts])
    for part, view in zip(parts, views, strict=True):
        part.data = view


def signed(sin: Tensor) -> Tensor:
    """Sines [..., d] with the sign that `turned` needs of them."""
    return torch.cat([-sin[..., : sin.shape[-1] // 2], sin[..., sin.shape[-1] // 2 :]], dim=-1)


def turned(heads: Tensor, turn: Turn) -> Tensor:
    """Queries or keys [n, heads, d], rotated to where their tokens stand (in two halves, as
    transformers' `rotate_half` has it).
    """
    cos, sin = turn
    return (heads * cos + heads.roll(heads.shape[-1] // 2, -1) * sin).to(heads.dtype)


def scaled(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm over the last axis, in float32."""
    wide = hidden.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(hidden.dtype)
