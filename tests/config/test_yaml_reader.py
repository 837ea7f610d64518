"""Reading YAML: no surprises of YAML 1.1, and errors with their line."""

from pathlib import Path

import pytest

from codecsight.config import ConfigError
from codecsight.config.yaml_reader import YamlFile


def _read(tmp_path: Path, content: str | bytes) -> YamlFile:
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return YamlFile(path)


def _error(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, content)
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("2026-11-28", "2026-11-28"),
        ("2026-02-31", "2026-02-31"),
        ("12:30:45", "12:30:45"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("-42", -42),
        ("0", 0),
        ("2.50", 2.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("'5'", "5"),
    ],
)
def test_plain_values_are_read_as_a_reader_expects(
    tmp_path: Path, text: str, value: object
) -> None:
    read = _read(tmp_path, f"key: {text}\n").data["key"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_as_they_are_written(tmp_path: Path) -> None:
    data = _read(tmp_path, "on: 1\n1: 2\n1.50: 3\nnull: 4\n2026-11-28: 5\n").data
    assert data == {"on": 1, "1": 2, "1.50": 3, "null": 4, "2026-11-28": 5}


def test_merge_keys_and_aliases_work(tmp_path: Path) -> None:
    text = "base: &base {loop: true, policy: tracked}\ngate:\n  <<: *base\n  policy: pixels\n"
    assert _read(tmp_path, text).data["gate"] == {"loop": True, "policy": "pixels"}


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert _read(tmp_path, b"\xef\xbb\xbfsite: yard\n").data == {"site": "yard"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"site: yard\nspool: /a\x00b\n", "file.yaml:2: not valid YAML: the control character"),
        (b"site: yard\n\nspool: \x1b[0m\n", r"file.yaml:3: not valid YAML: the control character"),
        (b"site: yard\nspool: /k\xf6ln\n", "file.yaml:2: is not UTF-8 text; save the file as"),
        ("site: !!timestamp 2026-02-31\n", "file.yaml:1: not valid YAML: "),
        ("site: !!python/object:os.system x\n", "file.yaml:1: not valid YAML: could not determine"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2: not valid YAML: but found another document"),
        ("a: {b: 1\nc: 2\n", "file.yaml:2: not valid YAML"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "file.yaml:4: c: duplicate key, first set on line 3"),
        ("[" * 5000, "file.yaml:1: not valid YAML: nested too deeply"),
        ("", "file.yaml:1: expected a mapping"),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert message in _error(tmp_path, content)


def test_an_alias_of_a_mapping_around_it_is_not_followed_for_ever(tmp_path: Path) -> None:
    assert set(_read(tmp_path, "a: &x {b: *x}\n").data) == {"a"}


def test_the_line_of_a_value_is_that_of_its_key(tmp_path: Path) -> None:
    file = _read(tmp_path, "a:\n  - x: 1\n  - x: 2\n    y: 3\n")
    assert file.line_of(["a", 1, "y"]) == 4
    assert file.line_of(["a", 1, "missing"]) == 3
    assert file.line_of(["missing"]) == 1


def test_aliases_that_stand_for_billions_of_values_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match=r":1: 12,\d+,\d+,\d+ values, aliases written out"):
        _read(tmp_path, "\n".join(lines))
