"""Conversion of single fields between dataclasses and protobuf messages.

A dataclass and its protobuf message use the same field names, so most fields are copied by name.
Every received value is checked.
"""

import dataclasses
import math
from typing import Any, TypeVar

from codecsight.core.errors import CodecSightError

Plain = TypeVar("Plain")

MAX_TEXT = 1000
"""Characters in any name or sentence that crosses the wire."""


class WireError(CodecSightError):
    """A message that can't be what it claims to be."""


def fields(message: Any) -> dict[str, Any]:
    """A dataclass's fields by name, one level deep; None is left out as protobuf does."""
    named = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return {name: value for name, value in named.items() if value is not None}


def plain(kind: type[Plain], message: Any, /, **ready: object) -> Plain:
    """The dataclass `kind` with the fields of a protobuf message, checked; `ready` are the fields
    that were converted already. Raises WireError.
    """
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    taken = {name: checked(name, getattr(message, name)) for name in names if name not in ready}
    return kind(**taken, **ready)


def checked(name: str, value: Any) -> Any:
    """A value that is no surprise: finite, no longer than allowed, not negative."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise WireError(f"{name}: {len(value)} characters; at most {MAX_TEXT} are allowed")
    if isinstance(value, float) and not math.isfinite(value):
        raise WireError(f"{name}: {value} is not a finite number")
    # An Ack of -1 says that not even chunk 0 was taken.
    if isinstance(value, int) and value < -1:
        raise WireError(f"{name}: {value} is negative")
    return value
