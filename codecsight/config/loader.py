"""Loading of YAML into a pydantic model, with errors that name file, line and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from codecsight.core.errors import CodecSightError

Config = TypeVar("Config", bound=BaseModel)


class ConfigError(CodecSightError):
    """An invalid configuration file; the message has one line for each problem."""


def load_config(path: Path, model: type[Config]) -> Config:
    """Read `path` and validate it against `model`.

    Raises ConfigError that lists every problem as `FILE:LINE: KEY: what was expected`.
    """
    text = _read(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    _reject_duplicate_keys(path, root)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected a mapping of keys and values, such as 'site: yard'")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_describe(path, root, detail, model) for detail in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; set the YAML file with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error


def _reject_duplicate_keys(path: Path, node: yaml.Node | None) -> None:
    """Raise ConfigError for a repeated key.

    YAML would silently keep only the last one, and a camera would be missing.
    """
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _reject_duplicate_keys(path, item)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if (name := str(key.value)) in lines:
                raise ConfigError(
                    f"{path}:{line}: {name}: duplicate key, first set on line {lines[name]}"
                )
            lines[name] = line
            _reject_duplicate_keys(path, value)


def _describe(
    path: Path, root: yaml.Node | None, detail: ErrorDetails, model: type[BaseModel]
) -> str:
    """One pydantic error as `FILE:LINE: KEY: what was expected`."""
    loc = [part for part in detail["loc"] if not str(part).startswith(("function-", "tagged-"))]
    key = ".".join(str(part) for part in loc) or "the file"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key" + _known_keys(model, loc)
    elif detail["type"] == "missing":
        message = "missing required key"
    elif detail["type"] not in ("value_error", "model_type"):
        message += f", got {detail['input']!r}"
    return f"{path}:{_line_of(root, loc)}: {key}: {message}"


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> str:
    """A list of the keys that are valid where the unknown key at `loc` is."""
    section: Any = model
    for part in loc[:-1]:
        field = section.model_fields.get(part) if _is_model(section) else None
        section = _model_in(field.annotation) if field else section
    if not _is_model(section):
        return ""
    known = (field.alias or name for name, field in section.model_fields.items())
    return f"; known keys: {', '.join(known)}"


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _model_in(annotation: Any) -> Any:
    """The model inside `dict[str, Model]`, `list[Model]` or `Model | None`."""
    if _is_model(annotation):
        return annotation
    inner = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((part for part in inner if part is not None), None)


def _line_of(node: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """The line, counted from 1, of the deepest existing node on the path `loc`."""
    line = node.start_mark.line + 1 if node else 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
