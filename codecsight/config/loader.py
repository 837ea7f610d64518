"""Loading of YAML into a pydantic model, with errors that name file, line and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from codecsight.config.errors import ConfigError
from codecsight.config.yaml_reader import YamlFile
from codecsight.core.urls.redaction import redact_url

Config = TypeVar("Config", bound=BaseModel)

_VALUE_IS_SHOWN_ELSEWHERE = ("value_error", "model_type", "dict_type", "recursion_loop")

MAX_SHOWN = 200
"""Characters of a value that a message shows."""


def load_config(path: Path, model: type[Config]) -> Config:
    """Read `path` and validate it against `model`.

    Raises ConfigError that lists every problem as `FILE:LINE: KEY: what was expected`.
    """
    return validate_config(YamlFile(path), model)


def validate_config(file: YamlFile, model: type[Config]) -> Config:
    """Validate the data of a file against `model`. Raises ConfigError, as `load_config`."""
    try:
        return model.model_validate(file.data)
    except ValidationError as error:
        problems = [_describe(file, detail, model) for detail in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def _describe(file: YamlFile, detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One pydantic error as `FILE:LINE: KEY: what was expected`."""
    loc = [part for part in detail["loc"] if not _is_internal(part)]
    key = ".".join(str(part) for part in loc) or "the file"
    return f"{file.path}:{file.line_of(loc)}: {key}: {_message(detail, model, loc)}"


def _is_internal(part: int | str) -> bool:
    """Whether a part of an error's location is pydantic's own, and no key of the file."""
    return str(part).startswith(("function-", "tagged-")) or part == "[key]"


def _message(detail: ErrorDetails, model: type[BaseModel], loc: Sequence[int | str]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "unknown key" + _known_keys(model, loc)
        case "missing":
            return "missing required key"
        case "model_type" | "dict_type":  # the value may be a secret: it is not shown
            keys = _known_keys(model, [*loc, ""])
            return f"expected a mapping of keys and values{keys}"
        case "string_type":
            return f"expected text, got {_shown(detail['input'])}; put it in quotes"
        case "string_pattern_mismatch" if "[key]" in detail["loc"]:
            return f"{_text(detail)} as a name"
        case kind if kind in _VALUE_IS_SHOWN_ELSEWHERE:
            return detail["msg"].removeprefix("Value error, ")
        case _:
            return _text(detail)


def _text(detail: ErrorDetails) -> str:
    given = detail["input"]
    return f"{detail['msg']}, got {_shown(redact_url(given) if isinstance(given, str) else given)}"


def _shown(value: Any) -> str:
    """A value for a message, cut to MAX_SHOWN characters."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> str:
    """A list of the keys that are valid where the last key of `loc` is."""
    section: Any = model
    for part in loc[:-1]:
        field = _field(section, part) if _is_model(section) else None
        section = _model_in(field.annotation) if field else section
    if not _is_model(section):
        return ""
    known = (field.alias or name for name, field in section.model_fields.items())
    return f"; known keys: {', '.join(known)}"


def _field(model: type[BaseModel], key: int | str) -> Any:
    """The field that a file calls `key`."""
    fields = model.model_fields.items()
    return next((field for name, field in fields if (field.alias or name) == key), None)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _model_in(annotation: Any) -> Any:
    """The model inside `dict[str, Model]`, `list[Model]` or `Model | None`."""
    if _is_model(annotation):
        return annotation
    inner = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((part for part in inner if part is not None), None)
