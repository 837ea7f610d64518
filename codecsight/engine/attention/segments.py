"""What a packed attention call reads and writes: spans, segments and copies of keys and values.

One rule covers every visibility pattern of the engine. Each query token has a position in its
sequence (its index in causal order, not its rotary position). A key of a span is visible to the
queries whose position p satisfies start <= p < end. Example: tokens A B C are cached, and a
question tree has the branches D E and F, as queries at the positions 0, 1 and 2:

    key    A    B    C    D  E  F
    start  -1   -1   -1   0  1  2    A, B, C: visible to every query
    end    inf  inf  inf  2  2  3    D, E: visible to D and E, hidden from F

Causal prefill is start = 0, 1, 2 ... and end = inf. The same rule serves chunks of a slot and slots
that are refreshed in the middle of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.engine.attention.pool import KVIndices
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens

SequencePositions = NDArray[np.int64]
UNBOUNDED = np.iinfo(np.int64).max
"""The `end` of a key that stays visible to all later positions."""


@dataclass(frozen=True, slots=True)
class AttentionSpan:
    """Keys that the queries of a segment may attend to: `kv_indices` [keys] in the pool, each
    visible to queries at positions from `start` [keys] up to, but not including, `end` [keys].
    """

    kv_indices: KVIndices
    start: SequencePositions
    end: SequencePositions

    def __len__(self) -> int:
        return len(self.kv_indices)

    @staticmethod
    def causal(kv_indices: KVIndices) -> "AttentionSpan":
        """A whole sequence in order: each token is visible from its own position on."""
        count = len(kv_indices)
        return AttentionSpan(kv_indices, np.arange(count), np.full(count, UNBOUNDED))

    @staticmethod
    def past(kv_indices: KVIndices) -> "AttentionSpan":
        """Cached context: visible to every query of a fork."""
        count = len(kv_indices)
        return AttentionSpan(kv_indices, np.full(count, -1), np.full(count, UNBOUNDED))

    def concat(self, other: "AttentionSpan") -> "AttentionSpan":
        """The keys of both spans."""
        return AttentionSpan(
            np.concatenate([self.kv_indices, other.kv_indices]),
            np.concatenate([self.start, other.start]),
            np.concatenate([self.end, other.end]),
        )


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """Tokens [n] of one sequence in a packed call, with the features of the cells among them.

    Their keys and values are written to `kv_indices` [n]. As queries they are at `positions` [n]
    of the sequence and attend to `span`. Logits are returned for the tokens with the indices
    `logit_indices`.
    """

    tokens: Tokens
    cells: CellFeatures
    kv_indices: KVIndices
    positions: SequencePositions
    span: AttentionSpan
    logit_indices: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class KVCopies:
    """Copies of cached tokens within the pool, all [n]: from the indices `source` to `target`, with
    keys re-rotated to `shift` rotary positions later. Values do not depend on the position.
    """

    source: KVIndices
    target: KVIndices
    shift: NDArray[np.int64]

    @staticmethod
    def join(parts: Sequence["KVCopies"]) -> "KVCopies":
        """The copies of all parts, in order."""
        empty = np.arange(0)
        return KVCopies(
            np.concatenate([empty, *(part.source for part in parts)]),
            np.concatenate([empty, *(part.target for part in parts)]),
            np.concatenate([empty, *(part.shift for part in parts)]),
        )
