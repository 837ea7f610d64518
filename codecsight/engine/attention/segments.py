"""Values that describe what a packed attention call reads and writes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.engine.attention.pool import Rows
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens

Places = NDArray[np.int64]
UNBOUNDED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class AttentionSpan:
    """What a run may see: pool `rows` [keys], each from place `opens` up to before `shuts`."""

    rows: Rows
    opens: Places
    shuts: Places

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def causal(rows: Rows) -> "AttentionSpan":
        """A sequence in order: what stands at a place is seen from there on."""
        return AttentionSpan(rows, np.arange(len(rows)), np.full(len(rows), UNBOUNDED))

    @staticmethod
    def past(rows: Rows) -> "AttentionSpan":
        """What every token of a fork sees."""
        return AttentionSpan(rows, np.full(len(rows), -1), np.full(len(rows), UNBOUNDED))

    def then(self, other: "AttentionSpan") -> "AttentionSpan":
        """Both."""
        return AttentionSpan(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.opens, other.opens]),
            np.concatenate([self.shuts, other.shuts]),
        )


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """Tokens [n] of one sequence with the features of their cells. Keys and values go to `rows`
    [n]; the tokens stand `at` [n] and see `view`. Logits follow the tokens with indices `read`.
    """

    tokens: Tokens
    cells: CellFeatures
    rows: Rows
    at: Places
    view: AttentionSpan
    read: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class KVCopies:
    """Keys and values of rows `source` that shall also stand in rows `target`, `by` positions
    later; all [n].
    """

    source: Rows
    target: Rows
    by: Places

    @staticmethod
    def join(parts: Sequence["KVCopies"]) -> "KVCopies":
        """All of them."""
        empty = np.arange(0)
        return KVCopies(
            np.concatenate([empty, *(part.source for part in parts)]),
            np.concatenate([empty, *(part.target for part in parts)]),
            np.concatenate([empty, *(part.by for part in parts)]),
        )
