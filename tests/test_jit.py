"""cached_njit: correct results, and an optional disk cache."""

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


def test_a_compiled_function_returns_what_python_returns() -> None:
    values = np.arange(5, dtype=np.float32)
    assert cached_njit(total)(values) == total(values) == 10.0


def test_without_a_writable_cache_folder_functions_are_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a read-only container."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert cached_njit(total)(np.ones(3, np.float32)) == 3.0


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 64 KiB with numba's cache on it."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(disk))
        yield disk


def test_a_full_disk_only_prevents_caching(disk: Path) -> None:
    compiled = cached_njit(total)
    with pytest.raises(OSError, match="No space"):
        (disk / "rest").write_bytes(bytes(1 << 20))
    assert compiled(np.ones(3, np.float32)) == 3.0
    (disk / "rest").unlink()
    assert not list(disk.rglob("*.nbc"))


def test_a_disk_that_becomes_read_only_only_prevents_caching(disk: Path) -> None:
    compiled = cached_njit(total)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert compiled(np.ones(3, np.float32)) == 3.0


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_an_empty_cache_file_is_replaced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    cached_njit(total)(np.ones(3, np.float32))
    (cache_file,) = tmp_path.rglob(f"*.{kind}")
    cache_file.write_bytes(b"")
    assert cached_njit(total)(np.ones(3, np.float32)) == 3.0
    assert cache_file.stat().st_size > 0
