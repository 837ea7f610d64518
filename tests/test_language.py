"""The project's words: standard terms, the same everywhere, in names and in text."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BANNED_NAMES = {
    "aloud", "ballot", "deaf", "exam", "haste", "inbox", "inquiry", "moment_of", "odds",
    "remembering", "retimed", "sight", "standpoint", "strangers", "whoever",
}  # fmt: skip
"""Parts of identifiers and module names, in lower case."""

BANNED_TEXT = (
    r"\baloud\b", r"\bballots?\b", r"\bdeaf\b", r"\bhaste\b", r"\bwhoever\b", r"\binquir(y|ies)\b",
    r"\bstandpoints?\b", r"\bstrangers\b", r"\bre-?timed\b", r"\blets? go\b",
    r"\bin (his|its) turn\b", r"\belse it would\b", r"\bodds and ends\b",
    r"\bshall\b", r"\bpassed over\b", r"\bso many\b",
)  # fmt: skip
"""Regular expressions over docstrings, comments, docs and messages."""

GENERATED = ("actors/wire/", "codecsight/models/default/", "benchmarks/results/", "requirements/")
TEXTS = {".py", ".md", ".proto", ".toml", ".yaml", ".yml", ".sh", ".svg"}


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    names = [name for name in listed.stdout.splitlines() if not name.startswith(GENERATED)]
    return [name for name in names if name != "tests/test_language.py" and (ROOT / name).exists()]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _identifiers(source: str) -> set[str]:
    """Names that are defined: classes, functions, parameters, fields and variables."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _parts(identifier: str) -> set[str]:
    """`askAloud_now` -> {"ask", "aloud", "now"}."""
    identifier = re.sub("codec_?sight", "", identifier, flags=re.I)
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def _banned_text(text: str) -> list[str]:
    return [match[0] for banned in BANNED_TEXT for match in re.finditer(banned, text, re.I)]


def test_defined_names_hold_no_banned_word() -> None:
    wrong = {
        f"{name}: {identifier}"
        for name in _tracked()
        if name.endswith(".py")
        for identifier in {Path(name).stem, *_identifiers(_read(name))}
        if _parts(identifier) & BANNED_NAMES
    }
    assert not wrong


def test_text_holds_no_banned_phrase() -> None:
    wrong = {
        f"{name}:{number}: {found}"
        for name in _tracked()
        if Path(name).suffix in TEXTS
        for number, line in enumerate(_read(name).splitlines(), 1)
        for found in _banned_text(line)
    }
    assert not wrong


@pytest.mark.parametrize("bad", ["class AskAloud: ...", "def f(standpoint): ...", "deaf = 1"])
def test_a_banned_name_is_found(bad: str) -> None:
    assert any(_parts(name) & BANNED_NAMES for name in _identifiers(bad))


def test_a_banned_phrase_is_found() -> None:
    assert _banned_text("Whoever asks aloud waits in his turn.") == [
        "aloud",
        "Whoever",
        "in his turn",
    ]


def test_lines_of_docs_stay_under_120_characters() -> None:
    wrong = {
        f"{name}:{number}"
        for name in _tracked()
        if name.endswith(".md") and not name.startswith(".github/")
        for number, line in enumerate(_read(name).splitlines(), 1)
        if len(line) >= 120 and not line.startswith("|")
    }
    assert not wrong
