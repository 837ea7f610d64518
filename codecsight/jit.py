"""Loops over blocks and pixels as machine code."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar, cast

import numba
import structlog
from numba.core.caching import FunctionCache

Given = ParamSpec("Given")
Returned = TypeVar("Returned")
log = structlog.get_logger()


def cached_njit(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """`function`, compiled by numba when it is first called with arguments of these types. Other
    threads run on while it runs. The code is kept beside the source, or where numba keeps it for
    this user; where nobody may write, or the disk is full, every process compiles its own.
    """
    machine: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # there is no place for it
        machine._cache = _Kept(function)
    return cast(Callable[Given, Returned], machine)


class _Kept(FunctionCache):
    """numba's cache on disk, which must never be the reason that something does not run: numba
    itself raises what a full disk, or a file that a power cut left empty, raises.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code kept for these types, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - what unpickling rubbish raises has no end
            log.warning("compiled code cannot be read", folder=self.cache_path, error=repr(error))
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.warning("compiled code cannot be kept", folder=self.cache_path, error=repr(error))
