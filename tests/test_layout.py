"""The shape of the source tree: short files, small folders, small result files."""

import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_SOURCE_LINES, MAX_TEST_LINES = 350, 500
MAX_FILES = 15
"""Python files of one level, `__init__.py` not counted."""
MAX_RESULT_BYTES, MAX_RESULTS_BYTES = 170_000, 500_000


def _tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def _sources() -> list[str]:
    return [name for name in _tracked("*.py") if not name.startswith("actors/wire/")]


def test_no_source_file_is_long() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in _sources()}
    limits = {name: MAX_TEST_LINES if "tests/" in name else MAX_SOURCE_LINES for name in lengths}
    assert not {name: length for name, length in lengths.items() if length > limits[name]}


def test_no_folder_holds_many_files() -> None:
    files = [Path(name) for name in _sources()]
    counts = Counter(str(file.parent) for file in files if file.name != "__init__.py")
    assert not {folder: count for folder, count in counts.items() if count > MAX_FILES}


def test_result_files_hold_aggregates() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in _tracked("benchmarks/results")}
    assert not {name: size for name, size in sizes.items() if size > MAX_RESULT_BYTES}
    assert sum(sizes.values()) < MAX_RESULTS_BYTES
