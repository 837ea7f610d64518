"""Machine code for hot loops, wherever the package is installed."""

import numpy as np
import pytest
from numba.core import caching
from numpy.typing import NDArray

from codecsight.compiled import compiled


def total(values: NDArray[np.float32]) -> float:
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_compiled_loop_gives_what_python_gives() -> None:
    values = np.arange(5, dtype=np.float32)
    assert compiled(total)(values) == total(values) == 10.0


def test_where_nobody_may_write_it_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a read-only container: there is no place for numba's cache."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(total)(np.ones(3, np.float32)) == 3.0
