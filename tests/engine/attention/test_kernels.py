"""Both kernels against attention written out token by token."""

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
    """A first chunk, slots refreshed in the middle of a window, a fork of two questions, a copy."""
    rows = random.permutation(320)
    a, b, asked, copied = rows[:40], rows[40:90], rows[90:100], rows[100:106]
    tree = TokenTree()
    first = tree.add_branch([1, 2, 3])
    tree.add_branch([4, 5], first)
    tree.add_branch([6], first)
    tree.add_branch([7, 8, 9, 10])

    def run(
        own: np.ndarray, at: np.ndarray, view: AttentionSpan, read: Sequence[int] = ()
    ) -> PackedSegment:
        return PackedSegment(Tokens.text([1] * len(own)), model.no_cells(), own, at, view, read)

    middle = np.r_[10:20, 40:50]
    fork = AttentionSpan.past(np.concatenate([a, copied])).concat(
        AttentionSpan(asked, np.arange(10), tree.subtree_ends)
    )
    runs = [
        run(a[:25], np.arange(25), AttentionSpan.causal(a[:25])),
        run(b[middle], middle, AttentionSpan.causal(b), [19]),
        run(asked, np.arange(10), fork, [9, 4, 2]),
    ]
    return runs, KVCopies(a[3:9], copied, np.arange(6) + 5)


def starts(runs: Sequence[PackedSegment]) -> Iterator[tuple[int, PackedSegment]]:
    return zip(np.cumsum([0, *(len(run.tokens) for run in runs)]), runs, strict=False)


def written_out(
    model: Qwen3VL, pool: KVPool, runs: Sequence[PackedSegment], copies: KVCopies, q: torch.Tensor,
    k: torch.Tensor, v: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    keys, values = pool.keys[0].clone(), pool.values[0].clone()
    token = 0
    for run in runs:
        for row in run.kv_indices:
            keys[row], values[row] = k[token], v[token]
            token += 1
    for source, target, by in zip(copies.source, copies.target, copies.shift, strict=True):
        rotation = model.rotation(torch.tensor([int(by)]))
        keys[target] = model.rotate_keys(keys[source][:, None], rotation)[:, 0]
        values[target] = values[source]
    out, token = torch.empty_like(q), 0
    group = q.shape[1] // keys.shape[1]
    for run in runs:
        for at in run.positions:
            seen = torch.from_numpy(
                run.span.kv_indices[(run.span.start <= at) & (at < run.span.end)]
            )
            for head in range(q.shape[1]):
                scores = keys[seen, head // group] @ q[token, head] * q.shape[2] ** -0.5
                out[token, head] = scores.softmax(0) @ values[seen, head // group]
            token += 1
    return out


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("only_read", [False, True])
@torch.inference_mode()
def test_kernels_attend_as_written_out(
    model: Qwen3VL, kernel: type[LoopAttention], *, only_read: bool
) -> None:
    random = np.random.default_rng(3)
    torch.manual_seed(3)
    pool = KVPool(model.kv, 20)
    pool.keys.normal_()
    pool.values.normal_()
    runs, copies = pack(model, random)
    heads, width = model.kv.heads, model.kv.head_dim
    tokens = sum(len(run.tokens) for run in runs)
    q = torch.randn(tokens, 2 * heads, width)
    k, v = torch.randn(tokens, heads, width), torch.randn(tokens, heads, width)
    wanted = written_out(model, pool, runs, copies, q, k, v)
    read = np.concatenate(
        [start + np.array(run.logit_indices, np.int64) for start, run in starts(runs)]
    )
    asking = torch.from_numpy(read) if only_read else torch.arange(tokens)
    ours = kernel(model, pool, runs, copies)(0, q[asking], k, v, only_read)
    assert torch.allclose(ours, wanted[asking], atol=1e-5)
