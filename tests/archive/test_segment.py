"""Keys and rows: what is written is read, and what is not a row is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.archive.errors import ArchiveError
from codecsight.archive.segment import (
    RowError,
    Segment,
    format_timestamp,
    from_json,
    parse_timestamp,
    row_key,
    segment_key,
    to_json,
    validate_stream_name,
)

SHA = "ab" * 32
START = 1_795_424_400.123


def segment(**changes: object) -> Segment:
    row = {"stream": "cam1", "start": START, "end": START + 10, "gops": (0.0, 5.0), "bytes": 7}
    row |= {"sha256": SHA, "key": segment_key("cam1", START, SHA)}
    return Segment(**(row | changes))  # type: ignore[arg-type]


def test_keys_are_dated_and_the_row_stands_beside_its_segment() -> None:
    assert segment().key == "segments/cam1/2026/11/23/20261123T090000.123Z-abababab.mkv"
    assert row_key(segment()) == "rows/cam1/2026/11/23/20261123T090000.123Z-abababab.json"


def test_other_content_at_the_same_time_has_another_key() -> None:
    assert segment_key("cam1", START, "cd" * 32) != segment().key


@given(st.floats(0, 4e9))
def test_a_stamp_is_read_back_to_the_millisecond_and_sorts_by_time(start: float) -> None:
    assert 0 <= start - parse_timestamp(format_timestamp(start) + "-x.mkv") + 1e-6 < 0.0011
    assert format_timestamp(start) <= format_timestamp(start + 0.001)


@given(
    start=st.floats(0, 4e9),
    seconds=st.floats(0, 1e4),
    gops=st.lists(st.floats(0, 1e4), max_size=5),
    size=st.integers(0, 1 << 40),
)
def test_a_row_comes_back_as_it_was(
    start: float, seconds: float, gops: list[float], size: int
) -> None:
    key = segment_key("cam-1.a", start, SHA)
    row = Segment("cam-1.a", start, start + seconds, tuple(gops), size, SHA, key)
    assert from_json(to_json(row), "here") == row


@pytest.mark.parametrize(
    "damage",
    [
        {"start": "noon"},
        {"start": float("nan")},
        {"gops": [None]},
        {"gops": 3},
        {"bytes": None},
        {"sha256": "short"},
        {"stream": "../etc"},
        {"key": "segments/cam1/2026/11/23/other.mkv"},
        {"start": START + 1},
    ],
)
def test_a_damaged_row_is_refused_by_name(damage: dict[str, object]) -> None:
    data = json.dumps(json.loads(to_json(segment())) | damage).encode()
    with pytest.raises(RowError, match="rows/x"):
        from_json(data, "rows/x.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}"])
def test_what_is_no_row_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(RowError, match="rows/x"):
        from_json(data, "rows/x.json")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "ü", "x" * 128, "a\n"])
def test_a_stream_name_must_fit_into_a_path(name: str) -> None:
    with pytest.raises(ArchiveError, match="no stream name"):
        validate_stream_name(name)
