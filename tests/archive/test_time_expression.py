"""Parsing of absolute and relative times."""

import time
from datetime import UTC, datetime

import pytest

from codecsight.archive.errors import ArchiveError
from codecsight.archive.time_expression import parse_time

NOW = 1_795_424_400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        ("-30s", NOW - 30),
        ("-30", NOW - 30),
        ("-1.5m", NOW - 90),
        ("-2h", NOW - 7200),
        ("-1d", NOW - 86_400),
        ("1795424400.5", NOW + 0.5),
        ("2026-11-23T09:00:00Z", NOW),
        ("2026-11-23T10:00:00+01:00", NOW),
        ("1795424400500", NOW + 0.5),
        ("1795424400", NOW),
        ("20261123T090000Z", NOW),
        ("20261123T090000.5+00:00", NOW + 0.5),
        (" 2026-11-23 09:00:00.25+00:00 ", NOW + 0.25),
    ],
)
def test_a_valid_time_is_parsed(text: str, seconds: float) -> None:
    assert parse_time(text, NOW) == pytest.approx(seconds)


def test_a_time_without_a_zone_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        expected = datetime.fromtimestamp(NOW, UTC).timestamp()
        assert parse_time("2026-11-23T18:00:00", NOW) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["2026-11-28", "20261128", " 20261128 "])
def test_a_date_is_its_local_midnight(text: str) -> None:
    assert parse_time(text, NOW) == datetime(2026, 11, 28).astimezone().timestamp()


@pytest.mark.parametrize(
    "text",
    [
        *("2026", "0", "179542440", "179542440050000000", "20261128103000"),
        *("1970-01-01", "-99999999d", "9999-12-31T23:59:59Z", "0001-01-01"),
    ],
)
def test_a_time_far_from_any_recording_is_rejected(text: str) -> None:
    with pytest.raises(ArchiveError, match=r"is not a time.*2026-11-23T10:30:00.*milliseconds"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["20261399", "\u0661\u0662\u0663", "1795424400,5", "nan", "inf"])
def test_text_that_only_looks_like_a_number_is_rejected(text: str) -> None:
    with pytest.raises(ArchiveError, match="is not a time: use"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["", "yesterday", "-5w", "2026-13-01", "1e400", "+5s", "12:00"])
def test_an_invalid_time_is_rejected_with_the_expected_form(text: str) -> None:
    with pytest.raises(ArchiveError, match="is not a time: use"):
        parse_time(text, NOW)
