"""Parsing of absolute and relative times, such as `2026-11-23T10:30:00` and `-5m`."""

import re
from datetime import datetime

from codecsight.archive.errors import ArchiveError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGO = re.compile(r"-(\d+(?:\.\d+)?)([smhd]?)")


def parse_time(text: str, now: float) -> float:
    """Parse a time into seconds since the epoch.

    Accepts `now`, a time before `now` (`-30s`, `-5m`, `-2h`, `-1d`), seconds since the epoch, or an
    ISO 8601 time (local if it has no time zone). Raises ArchiveError for anything else.
    """
    text = text.strip()
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - float(ago[1]) * _UNITS[ago[2]]
    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else _iso(text)
    except (ValueError, OverflowError):
        raise ArchiveError(
            f"{text!r} is not a time: use 2026-11-23T10:30:00, -30s, -5m, -2h, -1d or now"
        ) from None


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return moment.astimezone().timestamp() if moment.tzinfo is None else moment.timestamp()
