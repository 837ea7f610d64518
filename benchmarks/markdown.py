"""Markdown helpers for generated text."""

import textwrap

WIDTH = 118


def wrap_prose(text: str) -> str:
    """Wrap paragraphs and list items at WIDTH characters; table rows stay on one line."""
    return "\n".join(_wrap(line) for line in text.split("\n"))


def _wrap(line: str) -> str:
    if len(line) <= WIDTH or line.startswith("|"):
        return line
    content = line.lstrip()
    indent = " " * (len(line) - len(content) + (2 if content.startswith("- ") else 0))
    return textwrap.fill(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
