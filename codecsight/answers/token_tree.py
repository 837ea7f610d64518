"""A tree of token sequences: several continuations of one sequence in one forward pass."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codecsight.models.prompt import Tokens


class TokenTree:
    """Token sequences that share prefixes. Each token attends to its ancestors and itself, and its
    position is one after its parent's.

    The sequences [1, 2, 3], [1, 2, 5] and [4] make the tree

        index     0  1  2  3  4
        token     1  2  3  5  4
        parent   -1  0  1  1 -1
        position  0  1  2  2  0
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._depths: list[int] = []
        self._parents: list[int] = []

    @staticmethod
    def from_sequences(
        sequences: Sequence[Sequence[int]],
    ) -> tuple["TokenTree", list[list[int]]]:
        """The tree of these sequences, with each shared prefix stored once, and for each sequence
        the indices of its tokens in the tree.
        """
        tree, indices = TokenTree(), [list[int]() for _ in sequences]
        previous: Sequence[int] = ()
        path: list[int] = []
        # In sorted order every shared prefix is shared with the sequence just before, and the tree
        # grows depth first, as `subtree_ends` requires.
        for number in sorted(range(len(sequences)), key=lambda each: tuple(sequences[each])):
            sequence = sequences[number]
            shared = common_prefix_length(previous, sequence)
            path = path[:shared]
            for token in sequence[shared:]:
                path.append(tree.add_branch([token], path[-1] if path else None))
            previous, indices[number] = sequence, list(path)
        return tree, indices

    def __len__(self) -> int:
        return len(self._ids)

    def add_branch(self, ids: Sequence[int], after: int | None = None) -> int:
        """Append a sequence below the token with index `after` (None: at the root). Returns the
        index of its last token.
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
        """The tree's tokens as text whose roots have position 0."""
        text = Tokens.text(self._ids)
        return replace(text, positions=torch.tensor(self._depths).expand(3, -1))

    @property
    def subtree_ends(self) -> NDArray[np.int64]:
        """For each token the index after its last descendant, int64 [tokens].

        Requires a tree that was built depth first, so that all tokens between a token and this
        index are its descendants.
        """
        ends = np.arange(len(self)) + 1
        for index in range(len(self) - 1, -1, -1):
            parent = self._parents[index]
            if parent >= 0:
                ends[parent] = max(ends[parent], ends[index])
        return ends

    @property
    def mask(self) -> Tensor:
        """Attention mask within the tree: bool [queries, keys], True where attended."""
        mask = np.eye(len(self), dtype=np.bool_)
        for index, parent in enumerate(self._parents):
            if parent >= 0:
                mask[index] |= mask[parent]
        return torch.from_numpy(mask)


def common_prefix_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens with which both sequences begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
