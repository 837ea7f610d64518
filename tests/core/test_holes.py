"""Which slots do not continue the one before."""

import pytest

from codecsight.core.holes import HoleFinder


@pytest.mark.parametrize(
    ("starts", "holes"),
    [
        ([0, 1, 2, 3, 4], []),
        ([0, 1, 2, 5, 6], []),
        ([0, 1, 2, 7, 8, 9], [7]),
        ([0, 1, 2, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 132], [62, 132]),
        ([0, 10, 20, 30, 40], [10]),
        ([0, 10, 20, 30, 200, 210], [10, 200]),
    ],
)
def test_holes(starts: list[float], holes: list[float]) -> None:
    finder = HoleFinder()
    assert [start for start in starts if finder.add((start, start + 0.5))] == holes


def test_a_rate_that_may_become_slow_has_longer_steps() -> None:
    finder = HoleFinder(least_s=20.0)
    assert not any(finder.add((start, start + 0.5)) for start in (0, 1, 2, 20, 38))
    assert finder.add((70, 71))
