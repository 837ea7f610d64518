import numpy as np
import torch

from codecsight.answers.token_tree import TokenTree


def test_branches_see_their_ancestors_and_not_each_other() -> None:
    tree = TokenTree()
    root = tree.add_branch([10, 11])
    tree.add_branch([20, 21], after=root)
    tree.add_branch([30], after=root)
    assert tree.tokens.ids.tolist() == [10, 11, 20, 21, 30]
    assert tree.tokens.positions[0].tolist() == [0, 1, 2, 3, 2]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert torch.equal(tree.mask, torch.tensor(expected, dtype=torch.bool))


def test_roots_are_strangers_that_start_at_the_same_place() -> None:
    tree = TokenTree()
    first, second = tree.add_branch([1, 2]), tree.add_branch([3])
    assert (first, second) == (1, 2)
    assert tree.tokens.positions[0].tolist() == [0, 1, 0]
    assert tree.mask[2].tolist() == [False, False, True]


def test_what_runs_begin_with_stands_once() -> None:
    paths = [[1, 2, 3], [4], [1, 2, 5, 6], [1, 2, 3], [1], [1, 7]]
    tree, places = TokenTree.from_sequences(paths)
    ids = tree.tokens.ids.tolist()
    assert sorted(ids) == [1, 2, 3, 4, 5, 6, 7]
    for path, at in zip(paths, places, strict=True):
        assert [ids[index] for index in at] == path
        assert tree.tokens.positions[0][at].tolist() == list(range(len(path)))
        seen = np.flatnonzero(tree.mask[at[-1]].numpy())
        assert seen.tolist() == sorted(at)
        for index in at:  # what the kernels go by: all that stands before an end descends
            assert tree.mask[index : tree.subtree_ends[index], index].all()
            assert not tree.mask[tree.subtree_ends[index] :, index].any()


def test_an_empty_run_grows_nothing() -> None:
    tree = TokenTree()
    root = tree.add_branch([7])
    assert tree.add_branch([], after=root) == root
    assert len(tree) == 1
