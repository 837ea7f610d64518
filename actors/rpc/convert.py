"""Conversion of single fields between dataclasses and protobuf messages.

A dataclass and its protobuf message use the same field names, so most fields are copied by name.
Every received value is checked.
"""

import dataclasses
import math
from typing import Any, TypeVar

from codecsight.core.errors import CodecSightError

DataclassT = TypeVar("DataclassT")

MAX_TEXT_LENGTH = 1000
"""Characters in any string field of a received message."""


class WireError(CodecSightError):
    """A received message has an invalid field."""


def to_fields(message: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, one level deep. None is left out: an absent field."""
    named = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return {name: value for name, value in named.items() if value is not None}


def to_dataclass(kind: type[DataclassT], message: Any, /, **converted: object) -> DataclassT:
    """Make a dataclass from a protobuf message, with every value checked.

    `converted` has the fields that the caller has converted already. Raises WireError.
    """
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    copied = {
        name: check_value(name, getattr(message, name)) for name in names if name not in converted
    }
    return kind(**copied, **converted)


def check_value(name: str, value: Any) -> Any:
    """Return the value of field `name` if it is finite, not negative and not too long. Raises
    WireError otherwise.
    """
    if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
        raise WireError(f"{name}: {len(value)} characters; at most {MAX_TEXT_LENGTH} are allowed")
    if isinstance(value, float) and not math.isfinite(value):
        raise WireError(f"{name}: {value} is not a finite number")
    # -1 is allowed: an Ack of -1 acknowledges nothing, when not even chunk 0 was stored.
    if isinstance(value, int) and value < -1:
        raise WireError(f"{name}: {value} is negative")
    return value
