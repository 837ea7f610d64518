"""Several continuations of one sequence, in one forward pass."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.models.prompt import Tokens


class TokenTree:
    """Runs of tokens that grow from one another: each token sees its ancestors and itself, and
    stands one position after its parent.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._depths: list[int] = []
        self._parents: list[int] = []

    @staticmethod
    def from_sequences(paths: Sequence[Sequence[int]]) -> tuple["TokenTree", list[list[int]]]:
        """The tree of these runs from the root, in which what several begin with stands once; and
        for each run the indices of its tokens.
        """
        tree, places = TokenTree(), [list[int]() for _ in paths]
        before: Sequence[int] = ()
        at: list[int] = []
        for number in sorted(range(len(paths)), key=lambda each: tuple(paths[each])):
            path = paths[number]
            shared = common(before, path)
            at = at[:shared]
            for token in path[shared:]:
                at.append(tree.add_branch([token], at[-1] if at else None))
            before, places[number] = path, list(at)
        return tree, places

    def __len__(self) -> int:
        return len(self._ids)

    def add_branch(self, ids: Sequence[int], after: int | None = None) -> int:
        """Add a run after the token with index `after` (None: at the root); returns the index of
        its last token.
        """
        parent = -1 if after is None else after
        for token in ids:
            self._ids.append(token)
            self._depths.append(self._depths[parent] + 1 if parent >= 0 else 0)
            self._parents.append(parent)
            parent = len(self._ids) - 1
        return parent

    @property
    def tokens(self) -> Tokens:
        """The tree as text that starts at position 0."""
        run = Tokens.text(self._ids)
        return replace(run, positions=torch.tensor(self._depths).expand(3, -1))

    @property
    def subtree_ends(self) -> NDArray[np.int64]:
        """For each token the index after its last descendant. The tree must have grown depth
        first, so that all tokens in between descend from it.
        """
        ends = np.arange(len(self)) + 1
        for index in range(len(self) - 1, -1, -1):
            parent = self._parents[index]
            if parent >= 0:
                ends[parent] = max(ends[parent], ends[index])
        return ends

    @property
    def mask(self) -> Tensor:
        """Who sees whom within the tree: bool [tokens, tokens]."""
        mask = np.eye(len(self), dtype=np.bool_)
        for index, parent in enumerate(self._parents):
            if parent >= 0:
                mask[index] |= mask[parent]
        return torch.from_numpy(mask)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
