"""cached_njit: correct results, and an optional disk cache."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import caching
from numpy.typing import NDArray

from codecsight.jit import cached_njit
from tests.small_disk import small_disk

ROOT = Path(__file__).parents[1]


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


MODULE = """
import sys
import numpy as np
from codecsight.jit import cached_njit

@cached_njit
def inner(values):
    return np.sort(values)[::-1].copy()

@cached_njit
def outer(values):
    return inner(values) * 2.0

sys.stdin.readline()
outer(np.ones(4))
print(sum(outer.stats.cache_misses.values()) + sum(inner.stats.cache_misses.values()))
"""


def test_of_processes_that_start_together_one_compiles(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    command = [sys.executable, str(tmp_path / "module.py")]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert sorted(map(int, outputs)) == [0, 0, 2]
