"""MkDocs hook: links that leave docs/ become code text, since the site holds no such page.

`[results](../benchmarks/results/edge.json)` becomes "results (`benchmarks/results/edge.json`)".
Where the same files are read in the repository, the links keep working.
"""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s#]+)(?:#[^()\s]*)?\)")
_CODE = re.compile(r"^```.*?^```[^\n]*$|(`+).+?\1(?!`)", re.M | re.S)


def on_page_markdown(markdown: str, *, page: "Page", **_: object) -> str:
    """MkDocs calls this with the text of each page before it is rendered."""
    return replace_outside_links(markdown, page.file.src_uri)


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
