import torch

from codecsight.answers.tree import TokenTree


def test_branches_see_their_ancestors_and_not_each_other() -> None:
    tree = TokenTree()
    root = tree.grow([10, 11])
    tree.grow([20, 21], after=root)
    tree.grow([30], after=root)
    assert tree.tokens.ids.tolist() == [10, 11, 20, 21, 30]
    assert tree.tokens.positions[0].tolist() == [0, 1, 2, 3, 2]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert torch.equal(tree.mask, torch.tensor(expected, dtype=torch.bool))


def test_roots_are_strangers_that_start_at_the_same_place() -> None:
    tree = TokenTree()
    first, second = tree.grow([1, 2]), tree.grow([3])
    assert (first, second) == (1, 2)
    assert tree.tokens.positions[0].tolist() == [0, 1, 0]
    assert tree.mask[2].tolist() == [False, False, True]


def test_an_empty_run_grows_nothing() -> None:
    tree = TokenTree()
    root = tree.grow([7])
    assert tree.grow([], after=root) == root
    assert len(tree) == 1
