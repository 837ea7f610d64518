"""Machine code for hot loops, wherever the package is installed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import caching
from numpy.typing import NDArray

from codecsight.jit import cached_njit
from tests.small_disk import small_disk


def total(values: NDArray[np.float32]) -> float:
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_compiled_loop_gives_what_python_gives() -> None:
    values = np.arange(5, dtype=np.float32)
    assert cached_njit(total)(values) == total(values) == 10.0


def test_where_nobody_may_write_it_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a read-only container: there is no place for numba's cache."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert cached_njit(total)(np.ones(3, np.float32)) == 3.0


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small one, on which compiled code is kept."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(disk))
        yield disk


def test_a_full_disk_costs_the_kept_code_and_nothing_else(disk: Path) -> None:
    machine = cached_njit(total)
    with pytest.raises(OSError, match="No space"):
        (disk / "rest").write_bytes(bytes(1 << 20))
    assert machine(np.ones(3, np.float32)) == 3.0
    (disk / "rest").unlink()
    assert not list(disk.rglob("*.nbc"))


def test_a_disk_that_becomes_read_only_costs_nothing_else_either(disk: Path) -> None:
    machine = cached_njit(total)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert machine(np.ones(3, np.float32)) == 3.0


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_what_a_power_cut_left_empty_is_compiled_and_kept_anew(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    cached_njit(total)(np.ones(3, np.float32))
    (kept,) = tmp_path.rglob(f"*.{kind}")
    kept.write_bytes(b"")
    assert cached_njit(total)(np.ones(3, np.float32)) == 3.0
    assert kept.stat().st_size > 0
