"""MkDocs hook: adapts the Markdown of a page before it is rendered.

Links that leave docs/ become code text, since the site holds no such page:
`[results](../benchmarks/results/edge.json)` becomes "results (`benchmarks/results/edge.json`)".
Where the same files are read in the repository, the links keep working.

A line `::: codecsight.core.*` becomes one mkdocstrings line for every public module of the folder.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[1]
_NOT_PUBLIC = "codecsight.engine.naive."  # a reference for the tests
_ALL_MODULES = re.compile(r"^::: ([\w.]+)\.\*$", re.M)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s#]+)(?:#[^()\s]*)?\)")
_CODE = re.compile(r"^```.*?^```[^\n]*$|(`+).+?\1(?!`)", re.M | re.S)


def on_page_markdown(markdown: str, *, page: "Page", **_: object) -> str:
    """MkDocs calls this with the text of each page before it is rendered."""
    return replace_outside_links(list_modules(markdown), page.file.src_uri)


def list_modules(markdown: str) -> str:
    """Replace each line `::: PACKAGE.*`. Raises ValueError if the package has no public module."""

    def replace(line: re.Match[str]) -> str:
        return "\n\n".join(f"::: {name}" for name in public_modules(line[1]))

    return _ALL_MODULES.sub(replace, markdown)


def public_modules(package: str) -> list[str]:
    """The modules of a package, those of its subpackages last. Raises ValueError if none."""
    files = (_ROOT / package.replace(".", "/")).rglob("*.py")
    paths = [file.relative_to(_ROOT).with_suffix("") for file in files if file.stem[0] != "_"]
    names = (".".join(path.parts) for path in sorted(paths, key=lambda p: (p.parent, p.name)))
    public = [name for name in names if not name.startswith(_NOT_PUBLIC)]
    if not public:
        raise ValueError(f"{package} has no public module")
    return public


def replace_outside_links(markdown: str, page_path: str) -> str:
    """Replace links of the page at `page_path` (relative to docs/) whose target is outside docs/.

    Other links, pictures, and links that begin within code stay as they are.
    """
    folder = PurePosixPath("docs", page_path).parent

    def replace(link: re.Match[str]) -> str:
        path = _normalised(folder / link["target"])
        if "://" in link["target"] or path.startswith("docs/"):
            return link[0]
        same = link["text"].strip("`") in (path, link["target"])
        return f"`{path}`" if same else f"{link['text']} (`{path}`)"

    return _outside_code(markdown, replace)


def _outside_code(markdown: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Apply `replace` to the links that don't begin within code."""
    code = [match.span() for match in _CODE.finditer(markdown)]

    def keep_code(link: re.Match[str]) -> str:
        inside = any(start < link.start() < end for start, end in code)
        return link[0] if inside else replace(link)

    return _LINK.sub(keep_code, markdown)


def _normalised(path: PurePosixPath) -> str:
    """`path` without `..`, relative to the repository."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
