"""The configuration reference: complete, up to date, and with example files that load."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, Field

from codecsight.change.policies import POLICIES
from codecsight.config import CloudConfig, SiteConfig, load_config
from codecsight.config.reference import (
    Key,
    Section,
    configuration_page,
    example_file,
    section_of,
)
from codecsight.config.shared_sections import StrictModel

PAGE = Path(__file__).parents[2] / "docs/configuration.md"
MODELS = (SiteConfig, CloudConfig)


def _keys(section: Section) -> Iterator[tuple[str, Key]]:
    for key in section.keys:
        yield f"{section.title}: {key.name}", key
        if key.section is not None:
            yield from _keys(key.section)


def _without(meaning: str, section: Section) -> list[str]:
    """The keys of `section` and of those below it that lack `meaning` or an example."""
    return [
        name
        for name, key in _keys(section)
        if not (key.meaning if meaning == "meaning" else _has_example(key))
    ]


def _has_example(key: Key) -> bool:
    return bool(key.examples or key.section or key.default not in (None, [], ""))


def test_the_committed_page_is_the_generated_one() -> None:
    generated = subprocess.run(
        [sys.executable, "-m", "codecsight.config.reference"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert generated.stdout == configuration_page()
    assert PAGE.read_text(encoding="utf-8") == generated.stdout, (
        "run: python -m codecsight.config.reference > docs/configuration.md"
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("what", ["meaning", "example"])
def test_every_key_has_a_meaning_and_an_example(model: type[BaseModel], what: str) -> None:
    assert not _without(what, section_of(model))


def test_a_key_without_a_meaning_or_an_example_is_found() -> None:
    class Bare(StrictModel):
        silent: str | None = None

    section = section_of(Bare)
    assert _without("meaning", section) == _without("example", section) == ["Bare: silent"]


@pytest.mark.parametrize("model", MODELS)
def test_every_section_has_a_chapter_and_every_key_a_row(model: type[BaseModel]) -> None:
    page = configuration_page()
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    titles = set(re.findall(r"^##+ (.+)$", page, re.M))
    for name, key in _keys(section_of(model)):
        assert key.name in rows, name
        assert key.section is None or key.section.title in titles, name


@pytest.mark.parametrize("model", MODELS)
def test_the_example_file_loads(model: type[BaseModel], tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(example_file(section_of(model)))
    assert isinstance(load_config(path, model), model)


@pytest.mark.parametrize("model", MODELS)
def test_the_example_file_loads_with_every_key_enabled(
    model: type[BaseModel], tmp_path: Path
) -> None:
    text = example_file(section_of(model))
    enabled = re.sub(r"^( *)#(?! )(?!kv_blocks)", r"\1", text, flags=re.M)  # not with memory_mib
    path = tmp_path / "example.yaml"
    path.write_text(enabled)
    assert enabled != text
    assert load_config(path, model)


@pytest.mark.parametrize("model", MODELS)
def test_the_example_file_shows_every_key(model: type[BaseModel]) -> None:
    text = re.sub(r"^ *# .*$", "", example_file(section_of(model)), flags=re.M)
    shown = set(re.findall(r"\b(\w+):(?=\s)", text))
    assert not {key.name for _, key in _keys(section_of(model))} - shown


def test_commented_keys_hold_the_defaults() -> None:
    text = example_file(section_of(CloudConfig))
    lines = dict(line[1:].split(": ", 1) for line in re.findall(r"^ *(#\w+: .*)$", text, re.M))
    defaults = CloudConfig(sites=("yard",))
    assert yaml.safe_load(lines["sample_fps"]) == defaults.sample_fps
    assert yaml.safe_load(lines["window"]) == defaults.engine.window


def test_every_change_policy_is_named() -> None:
    (policy,) = (key for _, key in _keys(section_of(SiteConfig)) if key.name == "policy")
    assert all(f"`{name}`" in policy.meaning for name in POLICIES)


def test_types_and_ranges_are_in_words() -> None:
    class Parts(StrictModel, title="parts"):
        names: tuple[str, ...] = Field(min_length=1)
        share: float = Field(gt=0, le=1)
        count: int | None = Field(default=None, ge=1, le=9)
        flag: bool = False

    keys = section_of(Parts).keys
    assert [key.type for key in keys] == ["list of text", "number", "integer", "true or false"]
    assert [key.range for key in keys] == ["at least one entry", "above 0, at most 1", "1 to 9", ""]
    assert [key.required for key in keys] == [True, True, False, False]
