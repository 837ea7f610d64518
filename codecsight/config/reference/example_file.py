"""A complete example of a configuration file: every key with its meaning as a comment.

Keys without an example are optional; they are written with their default and commented out
(`#key: value`, without a space), so that each can be enabled on its own.
"""

import textwrap

import yaml

from codecsight.config.reference.schema import Key, Section

_WIDTH = 96


def example_file(section: Section) -> str:
    """The YAML text of the file that `section` describes."""
    return "\n".join(_section_lines(section)) + "\n"


def _section_lines(section: Section) -> list[str]:
    lines: list[str] = []
    for key in section.keys:
        lines += ["", *_comment(key.meaning), *_key_lines(key)]
    return lines[1:]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _key_lines(key: Key) -> list[str]:
    if key.examples:
        return _yaml(key.name, key.examples[0])
    if key.section is None:
        return [f"#{line}" for line in _yaml(key.name, key.default)]
    lines = _indented(_section_lines(key.section))
    if key.child:
        lines = _indented([f"{key.example_child}:", *lines])
    return [f"{key.name}:", *lines]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else line for line in lines]


def _yaml(name: str, value: object) -> list[str]:
    """`name: value`; a list with mappings gets a line for each item."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [f"{name}:", *(f"  - {inline_yaml(item)}" for item in value)]
    return [f"{name}: {inline_yaml(value)}"]


def inline_yaml(value: object) -> str:
    """`value` as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()
