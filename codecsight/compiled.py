"""Loops over blocks and pixels as machine code."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def compiled(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """`function`, compiled by numba when it is first called with arguments of these types. Other
    threads run on while it runs. The code is kept beside the source, or where numba keeps it for
    this user; where nobody may write, every process compiles its own.
    """
    try:
        return _machine(function, kept=True)
    except RuntimeError:
        return _machine(function, kept=False)


def _machine(function: Callable[Given, Returned], kept: bool) -> Callable[Given, Returned]:
    compile_ = numba.njit(cache=kept, nogil=True, error_model="numpy")
    return cast(Callable[Given, Returned], compile_(function))
