"""Compiles loops over blocks and pixels with numba, with a disk cache that never raises."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import structlog
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger()

LOCK_TIMEOUT_S = 60.0
"""Longest wait for another process that compiles the same function; then this one compiles, too."""
LOCK_POLL_S = 0.05


def cached_njit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba on its first call for each combination of argument types.

    The compiled function releases the GIL. Its code is cached next to the source file or in
    numba's cache folder of the user. Of several processes that need a function at the same time,
    one compiles it and the others load it. If the cache isn't writable, or the disk is full, each
    process compiles the function again.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # no writable cache folder
        cache = dispatcher._cache = _SafeCache(function)
        dispatcher.compile = _in_one_process(dispatcher.compile, Path(cache.cache_path))
    return cast(Callable[P, R], dispatcher)


def _in_one_process(compile_types: Callable[[Any], Any], folder: Path) -> Callable[[Any], Any]:
    """`compile_types`, which first looks into the cache, in one process at a time."""

    def compile_locked(types: Any) -> Any:
        # numba's own lock first: threads that take both in different orders would block each other.
        with global_compiler_lock, _lock(folder / "compiling"):
            return compile_types(types)

    return compile_locked


_held: set[Path] = set()
"""Locks of this process: compiling a function compiles those that it calls."""


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold a file's lock, unless this process holds it, or it can't be had: a read-only disk, or
    LOCK_TIMEOUT_S have passed.
    """
    if file in _held:
        yield
        return
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    handle = _open(file)
    _held.add(file)
    try:
        _wait_for_lock(handle)
        yield
    finally:
        _held.discard(file)
        if handle is not None:
            os.close(handle)


def _open(file: Path) -> int | None:
    with suppress(OSError):
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return None


def _wait_for_lock(handle: int | None) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while handle is not None and time.monotonic() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_POLL_S)
        except OSError:  # a file system without locks
            return
        else:
            return


class _SafeCache(FunctionCache):
    """numba's disk cache, with errors logged instead of raised.

    numba itself raises on a full disk or on a cache file that a power cut left empty.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the cached code for these types; None if there is none or it is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - unpickling damaged data can raise anything
            log.warning("numba cache not readable", folder=self.cache_path, error=repr(error))
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the code if possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.warning("numba cache not writable", folder=self.cache_path, error=repr(error))
