"""Parsing of absolute and relative times, such as `2026-11-23T10:30:00` and `-5m`."""

import re
from datetime import datetime

from codecsight.archive.errors import ArchiveError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGO = re.compile(r"-(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?", re.ASCII)
_DATE = re.compile(r"(?:19|20)\d{6}", re.ASCII)

_EARLIEST_S = 946_684_800.0
"""2000-01-01. A smaller number is a year, a date or a slip of the hand, not a time."""
_LATEST_S = 10_413_792_000.0
"""2300-01-01."""
_FORMS = (
    "use 2026-11-23T10:30:00 (local, or with +01:00 or Z), 2026-11-23, seconds or milliseconds "
    "since 1970, -30s, -5m, -2h, -1d or now"
)


def parse_time(text: str, now: float) -> float:
    """Parse a time into seconds since the epoch.

    Accepts `now`, a time before `now` (`-30s`, `-5m`, `-2h`, `-1d`), seconds or milliseconds since
    the epoch, or an ISO 8601 date or time (local if it has no time zone; a date is its midnight;
    20261123 is a date). Raises ArchiveError for anything else, and for times before 2000 or after
    2300.
    """
    text = text.strip()
    if text == "now":
        return now
    try:
        if ago := _AGO.fullmatch(text):
            seconds = now - float(ago[1]) * _UNITS[ago[2]]
        elif _NUMBER.fullmatch(text) and not _DATE.fullmatch(text):
            seconds = _since_epoch(float(text))
        else:
            seconds = _iso(text)
    except (ValueError, OverflowError):
        raise ArchiveError(f"{text!r} is not a time: {_FORMS}") from None
    if not _EARLIEST_S <= seconds < _LATEST_S:
        raise ArchiveError(f"{text!r} is not a time between the years 2000 and 2300: {_FORMS}")
    return seconds


def _since_epoch(number: float) -> float:
    """Seconds since the epoch from seconds or milliseconds; their ranges don't overlap."""
    return number / 1000 if number >= 1000 * _EARLIEST_S else number


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return moment.astimezone().timestamp() if moment.tzinfo is None else moment.timestamp()
