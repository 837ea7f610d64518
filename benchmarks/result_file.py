"""Result files: JSON in which lists of rows are stored as tables, one array of values per row.

A list of dicts `[{"a": 1, "b": 2}, {"a": 3, "b": 4}]` is written as
`[{"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}]`: names are stored once, so that a file takes
about a third of the space. Consecutive rows with the same names share a table, so that the order of
rows is kept.
"""

import gzip
import json
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

Row = dict[str, Any]


def save_result(result: dict[str, Any], path: Path) -> None:
    """Write a result; its top-level lists of dicts become tables."""
    parts = (f"{json.dumps(name)}: {_value_json(value)}" for name, value in result.items())
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def read_result(path: Path) -> dict[str, Any]:
    """Read a result; tables become lists of dicts again."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: _expand(value) for name, value in content.items()}


def save_compressed(result: dict[str, Any], path: Path) -> None:
    """Write JSON compressed by gzip; the same result always gives the same bytes."""
    path.write_bytes(gzip.compress(json.dumps(result).encode(), mtime=0))


def read_compressed(path: Path) -> dict[str, Any]:
    """Read what `save_compressed` wrote."""
    content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return content


def _value_json(value: object) -> str:
    if not _is_rows(value):
        return json.dumps(value, indent=1)
    tables = (_table_json(list(names), list(rows)) for names, rows in groupby(value, tuple))
    return "[" + ",\n".join(tables) + "]"


def _table_json(names: list[str], rows: list[Row]) -> str:
    lines = ",\n".join(json.dumps(list(row.values()), separators=(",", ":")) for row in rows)
    return f'{{"columns": {json.dumps(names)},\n"rows": [\n{lines}\n]}}'


def _is_rows(value: object) -> TypeGuard[list[Row]]:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _expand(value: Any) -> Any:
    if not _is_rows(value) or any(set(table) != {"columns", "rows"} for table in value):
        return value
    return [dict(zip(t["columns"], row, strict=True)) for t in value for row in t["rows"]]
