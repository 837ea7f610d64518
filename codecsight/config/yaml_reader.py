"""Reading of a YAML file into data, with the line of every value.

Plain scalars are read as YAML 1.2 does, since 1.1 surprises: `on`, `yes` and `2026-11-28` are text,
only `true` and `false` are booleans. Keys are always text, so a camera may be called `on` or `1`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from codecsight.config.errors import ConfigError

MAX_VALUES = 200_000
_MERGE_TAG = "tag:yaml.org,2002:merge"
_STR_TAG = "tag:yaml.org,2002:str"
_PLAIN_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"0|[-+]?[1-9][0-9]*", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE_TAG:
                key.tag = _STR_TAG
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_MERGE_TAG, re.compile(r"<<"), ["<"])
for _name, (_pattern, _first) in _PLAIN_SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), _first
    )


class YamlFile:
    """The data of a YAML file, and the lines it stands on. Raises ConfigError, with the line, for
    a file that can't be read, is not YAML, has a repeated key or is not a mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _read(path)
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            _reject_duplicate_keys(path, self._root)
            _reject_large(path, self._root)
            data = loader.construct_document(self._root) if self._root else None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{_problem(error, text)}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"{path}:1: expected a mapping of keys and values, as 'site: yard'")
        self.data: dict[str, Any] = data

    def line_of(self, keys: Sequence[int | str]) -> int:
        """The line, counted from 1, of the deepest existing node on the path `keys`."""
        node = self._root
        line = node.start_mark.line + 1 if node else 1
        for part in keys:
            found = next((pair for pair in _children(node) if pair[0] == part), None)
            if found is None:
                break
            _, line, node = found
        return line


def _children(node: yaml.Node | None) -> Iterator[tuple[int | str, int, yaml.Node]]:
    """Key or index, line and value of each entry of a mapping or a list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield index, value.start_mark.line + 1, value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error


def _problem(error: Exception, text: str) -> str:
    """`LINE: not valid YAML: what is wrong`."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{line}: not valid YAML: the control character {text[error.position]!r}"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        return f"{mark.line + 1 if mark else 1}: not valid YAML: {error.problem}"
    if isinstance(error, RecursionError):
        return "1: not valid YAML: nested too deeply"
    return f"1: not valid YAML: {error}"


def _reject_duplicate_keys(path: Path, root: yaml.Node | None) -> None:
    """Raise ConfigError for a repeated key.

    YAML would silently keep only the last one, and a camera would be missing.
    """
    seen: set[int] = set()  # an alias leads to a node again, perhaps to one above it
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        lines: dict[int | str, int] = {}
        for key, line, value in _children(node):
            if key in lines and key != "<<":
                raise ConfigError(
                    f"{path}:{line}: {key}: duplicate key, first set on line {lines[key]}"
                )
            lines[key] = line
            waiting.append(value)


def _reject_large(path: Path, root: yaml.Node | None) -> None:
    """Raise ConfigError for a file of more than MAX_VALUES values, aliases written out: ten lines
    of aliases of aliases can stand for billions. An alias of a node around it counts as one.
    """
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in counts:
            counts[id(node)] = 1
            counts[id(node)] += sum(count(value) for _, _, value in _children(node))
        return counts[id(node)]

    if root is not None and (values := count(root)) > MAX_VALUES:
        raise ConfigError(
            f"{path}:1: {values:,} values, aliases written out; at most {MAX_VALUES:,} are allowed"
        )
