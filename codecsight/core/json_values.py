"""Values for JSON, which has no NaN and no infinity."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """The value with None in place of every float in it that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
