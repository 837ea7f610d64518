"""Token trees: prefix sharing, positions and attention masks."""

import numpy as np
import torch

from codecsight.answers.token_tree import TokenTree


def test_branches_attend_to_their_ancestors_but_not_to_each_other() -> None:
    tree = TokenTree()
    root = tree.add_branch([10, 11])
    tree.add_branch([20, 21], after=root)
    tree.add_branch([30], after=root)
    assert tree.tokens.ids.tolist() == [10, 11, 20, 21, 30]
    assert tree.tokens.positions[0].tolist() == [0, 1, 2, 3, 2]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert torch.equal(tree.mask, torch.tensor(expected, dtype=torch.bool))


def test_roots_have_position_zero_and_do_not_attend_to_each_other() -> None:
    tree = TokenTree()
    first, second = tree.add_branch([1, 2]), tree.add_branch([3])
    assert (first, second) == (1, 2)
    assert tree.tokens.positions[0].tolist() == [0, 1, 0]
    assert tree.mask[2].tolist() == [False, False, True]


def test_shared_prefixes_are_stored_once() -> None:
    sequences = [[1, 2, 3], [4], [1, 2, 5, 6], [1, 2, 3], [1], [1, 7]]
    tree, indices = TokenTree.from_sequences(sequences)
    ids = tree.tokens.ids.tolist()
    assert sorted(ids) == [1, 2, 3, 4, 5, 6, 7]
    for sequence, path in zip(sequences, indices, strict=True):
        assert [ids[index] for index in path] == sequence
        assert tree.tokens.positions[0][path].tolist() == list(range(len(sequence)))
        attended = np.flatnonzero(tree.mask[path[-1]].numpy())
        assert attended.tolist() == sorted(path)
        for index in path:  # the kernels rely on this: all tokens before a subtree's end are in it
            assert tree.mask[index : tree.subtree_ends[index], index].all()
            assert not tree.mask[tree.subtree_ends[index] :, index].any()


def test_an_empty_branch_adds_nothing() -> None:
    tree = TokenTree()
    root = tree.add_branch([7])
    assert tree.add_branch([], after=root) == root
    assert len(tree) == 1
