"""Both attention kernels compared with attention computed token by token."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from codecsight.answers.token_tree import TokenTree
from codecsight.engine.attention.kernels import FlexAttention, LoopAttention
from codecsight.engine.attention.pool import KVPool
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.prompt import Tokens

KERNELS = [LoopAttention, FlexAttention]


def pack(model: Qwen3VL, random: np.random.Generator) -> tuple[list[PackedSegment], KVCopies]:
    """A first chunk, slots refreshed in the middle of a window, a fork of two questions, copies."""
    order = random.permutation(320)
    a, b, question, copied = order[:40], order[40:90], order[90:100], order[100:106]
    tree = TokenTree()
    first = tree.add_branch([1, 2, 3])
    tree.add_branch([4, 5], first)
    tree.add_branch([6], first)
    tree.add_branch([7, 8, 9, 10])

    def segment(
        indices: np.ndarray,
        positions: np.ndarray,
        span: AttentionSpan,
        logit_indices: Sequence[int] = (),
    ) -> PackedSegment:
        return PackedSegment(
            Tokens.text([1] * len(indices)),
            model.no_cells(),
            indices,
            positions,
            span,
            logit_indices,
        )

    middle = np.r_[10:20, 40:50]
    fork = AttentionSpan.past(np.concatenate([a, copied])).concat(
        AttentionSpan(question, np.arange(10), tree.subtree_ends)
    )
    segments = [
        segment(a[:25], np.arange(25), AttentionSpan.causal(a[:25])),
        segment(b[middle], middle, AttentionSpan.causal(b), [19]),
        segment(question, np.arange(10), fork, [9, 4, 2]),
    ]
    return segments, KVCopies(a[3:9], copied, np.arange(6) + 5)


def with_starts(segments: Sequence[PackedSegment]) -> Iterator[tuple[int, PackedSegment]]:
    return zip(
        np.cumsum([0, *(len(segment.tokens) for segment in segments)]), segments, strict=False
    )


def reference_attention(
    model: Qwen3VL, pool: KVPool, segments: Sequence[PackedSegment], copies: KVCopies,
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    keys, values = pool.keys[0].clone(), pool.values[0].clone()
    token = 0
    for segment in segments:
        for index in segment.kv_indices:
            keys[index], values[index] = k[token], v[token]
            token += 1
    for source, target, shift in zip(copies.source, copies.target, copies.shift, strict=True):
        rotation = model.rotation(torch.tensor([int(shift)]))
        keys[target] = model.rotate_keys(keys[source][:, None], rotation)[:, 0]
        values[target] = values[source]
    out, token = torch.empty_like(q), 0
    group = q.shape[1] // keys.shape[1]
    for segment in segments:
        for position in segment.positions:
            visible = torch.from_numpy(
                segment.span.kv_indices[
                    (segment.span.start <= position) & (position < segment.span.end)
                ]
            )
            for head in range(q.shape[1]):
                scores = keys[visible, head // group] @ q[token, head] * q.shape[2] ** -0.5
                out[token, head] = scores.softmax(0) @ values[visible, head // group]
            token += 1
    return out


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("only_logit_tokens", [False, True])
@torch.inference_mode()
def test_kernels_equal_attention_computed_token_by_token(
    model: Qwen3VL, kernel: type[LoopAttention], *, only_logit_tokens: bool
) -> None:
    random = np.random.default_rng(3)
    torch.manual_seed(3)
    pool = KVPool(model.kv, 20)
    pool.keys.normal_()
    pool.values.normal_()
    segments, copies = pack(model, random)
    heads, width = model.kv.heads, model.kv.head_dim
    tokens = sum(len(segment.tokens) for segment in segments)
    q = torch.randn(tokens, 2 * heads, width)
    k, v = torch.randn(tokens, heads, width), torch.randn(tokens, heads, width)
    expected = reference_attention(model, pool, segments, copies, q, k, v)
    logit_tokens = np.concatenate(
        [
            start + np.array(segment.logit_indices, np.int64)
            for start, segment in with_starts(segments)
        ]
    )
    queries = torch.from_numpy(logit_tokens) if only_logit_tokens else torch.arange(tokens)
    ours = kernel(model, pool, segments, copies)(0, q[queries], k, v, only_logit_tokens)
    assert torch.allclose(ours, expected[queries], atol=1e-5)
