"""Keys and rows of segments: round trips, and rejection of invalid rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.archive.errors import ArchiveError, RowError
from codecsight.archive.segment import (
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


def test_keys_contain_the_date_and_the_row_key_mirrors_the_segment_key() -> None:
    assert segment().key == "segments/cam1/2026/11/23/20261123T090000.123Z-abababab.mkv"
    assert row_key(segment()) == "rows/cam1/2026/11/23/20261123T090000.123Z-abababab.json"


def test_different_content_at_the_same_time_gets_a_different_key() -> None:
    assert segment_key("cam1", START, "cd" * 32) != segment().key


@given(st.floats(0, 4e9))
def test_a_timestamp_round_trips_to_the_millisecond_and_sorts_by_time(start: float) -> None:
    assert 0 <= start - parse_timestamp(format_timestamp(start) + "-x.mkv") + 1e-6 < 0.0011
    assert format_timestamp(start) <= format_timestamp(start + 0.001)


@given(
    start=st.floats(0, 4e9),
    seconds=st.floats(0, 1e4),
    gops=st.lists(st.floats(0, 1e4), max_size=5),
    size=st.integers(0, 1 << 40),
)
def test_a_row_round_trips(start: float, seconds: float, gops: list[float], size: int) -> None:
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
def test_a_damaged_row_is_rejected_by_name(damage: dict[str, object]) -> None:
    data = json.dumps(json.loads(to_json(segment())) | damage).encode()
    with pytest.raises(RowError, match="rows/x"):
        from_json(data, "rows/x.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}"])
def test_data_that_is_not_a_row_is_rejected(data: bytes) -> None:
    with pytest.raises(RowError, match="rows/x"):
        from_json(data, "rows/x.json")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "ü", "x" * 128, "a\n"])
def test_a_stream_name_must_be_valid_in_a_path(name: str) -> None:
    with pytest.raises(ArchiveError, match="not a stream name"):
        validate_stream_name(name)
