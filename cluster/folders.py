"""Folders that live as long as a run."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REMOVE_S = 10.0


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new folder under the system's temporary one, gone with all that is in it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder; processes that are just ending may still write into it for a moment."""
    deadline = time.monotonic() + REMOVE_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)
