"""The code that does the work of a step stays short enough to be read in one sitting."""

import ast
from pathlib import Path

import codecsight.engine

SUPPORT = {"__init__", "config", "errors", "results"}
"""Modules of values; limits and accounts are in `resources`, the reference engine in `naive`."""


def code_lines(source: str) -> int:
    """Lines of code: without blank lines, comments and docstrings."""
    return len(ast.unparse(_without_docstrings(ast.parse(source))).splitlines())


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_the_core_of_the_engine_stays_under_1600_lines_of_code() -> None:
    folder = Path(codecsight.engine.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("attention/*.py")]
    core = {file.stem: code_lines(file.read_text()) for file in files if file.stem not in SUPPORT}
    assert {"scheduler", "pool", "window", "kernels", "session", "model_runner", "engine"} <= set(
        core
    )
    assert sum(core.values()) < 1600, core
