"""Compiles loops over blocks and pixels with numba, with a disk cache that never raises."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar, cast

import numba
import structlog
from numba.core.caching import FunctionCache

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger()


def cached_njit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba on its first call for each combination of argument types.

    The compiled function releases the GIL. Its code is cached next to the source file or in
    numba's cache folder of the user. If neither is writable, or the disk is full, each process
    compiles the function again.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # no writable cache folder
        dispatcher._cache = _SafeCache(function)
    return cast(Callable[P, R], dispatcher)


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
