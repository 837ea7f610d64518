"""Temporary folders, and removal of those that ended runs have left."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REMOVE_TIMEOUT_S = 10.0
MIN_AGE_S = 60.0
"""A younger folder may not be locked yet."""
PRIVATE_UMASK = 0o077


def keep_files_private() -> None:
    """Let only this user read the files that this process and its children create from now on:
    recorded video, logs, sockets. Folders that exist keep their mode.
    """
    os.umask(PRIVATE_UMASK)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new folder in the system's temporary directory, removed at the end.

    First removes the folders with this prefix whose owners are gone, for example after SIGKILL.
    """
    sweep(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with in_use(folder):
            yield folder
    finally:
        remove(folder)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Mark a folder as in use, by a shared lock that ends with the process; several may hold it.

    Unlike a process id in a file, the lock holds across PID namespaces and is never stale.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def sweep(prefix: str) -> None:
    """Remove this user's temporary folders with `prefix` that no process holds by `in_use`."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another process is removing it
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < MIN_AGE_S:
        return False
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def remove(folder: Path) -> None:
    """Remove a folder, with retries: processes that are ending may still write into it."""
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)
