"""Times as people give them."""

import re
from datetime import datetime

from codecsight.archive.errors import ArchiveError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGO = re.compile(r"-(\d+(?:\.\d+)?)([smhd]?)")


def parse_time(text: str, now: float) -> float:
    """Seconds since the epoch for `now`, `-30s`, `-5m`, `-2h`, `-1d` (before `now`), seconds since
    the epoch, or an ISO time (of this machine's time zone where it names none).

    Raises ArchiveError for anything else.
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
            f"{text!r} is no time: give 2026-11-23T10:30:00, -30s, -5m, -2h, -1d or now"
        ) from None


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return moment.astimezone().timestamp() if moment.tzinfo is None else moment.timestamp()
