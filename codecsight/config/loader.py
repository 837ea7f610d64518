"""Reading a YAML file into a model, with errors that name file, line, key and what was expected."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from codecsight.core.errors import CodecSightError

Config = TypeVar("Config", bound=BaseModel)


class ConfigError(CodecSightError):
    """A configuration file that can't be used, with every problem in it on a line of its own."""


def load_config(path: Path, model: type[Config]) -> Config:
    """Read `path` and check it against `model`.

    Raises ConfigError listing all problems as `FILE:LINE: KEY: what was expected`.
    """
    text = _read(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    _refuse_twins(path, root)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected keys and values, such as 'site: yard'")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_describe(path, root, detail, model) for detail in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; --config names the YAML file to use") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error


def _refuse_twins(path: Path, node: yaml.Node | None) -> None:
    """YAML lets a later key silently replace an earlier one: a camera would be gone unnoticed."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twins(path, item)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if (name := str(key.value)) in seen:
                raise ConfigError(f"{path}:{line}: {name}: stands on line {seen[name]} already")
            seen[name] = line
            _refuse_twins(path, value)


def _describe(
    path: Path, root: yaml.Node | None, detail: ErrorDetails, model: type[BaseModel]
) -> str:
    loc = [part for part in detail["loc"] if not str(part).startswith(("function-", "tagged-"))]
    key = ".".join(str(part) for part in loc) or "the file"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key" + _known_keys(model, loc)
    elif detail["type"] == "missing":
        message = "missing; this key is required"
    elif detail["type"] not in ("value_error", "model_type"):
        message += f", got {detail['input']!r}"
    return f"{path}:{_line_of(root, loc)}: {key}: {message}"


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> str:
    """The keys allowed beside an unknown one, where the model can be followed that far."""
    here: Any = model
    for part in loc[:-1]:
        field = here.model_fields.get(part) if _is_model(here) else None
        here = _model_in(field.annotation) if field else here
    return f"; known keys: {', '.join(here.model_fields)}" if _is_model(here) else ""


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def _model_in(annotation: Any) -> Any:
    """The model inside `dict[str, Model]`, `list[Model]` or `Model | None`."""
    if _is_model(annotation):
        return annotation
    inner = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((part for part in inner if part is not None), None)


def _line_of(node: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """The line (from 1) of the deepest node on the way to `loc`."""
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
