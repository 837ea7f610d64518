"""Lookup of segments by stream and time, from the store's listing of index rows.

Rows are stored under rows/STREAM/YEAR/MONTH/DAY/ and named by their start time: a query lists only
the days that its range touches, and reads only the rows in the range and the ones just before it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from codecsight.archive.errors import MissingObjectError, RowError
from codecsight.archive.segment import (
    ROWS,
    Segment,
    day_prefix,
    from_json,
    parse_timestamp,
    validate_stream_name,
)
from codecsight.archive.store import ObjectStore

_DAY = timedelta(days=1)
_ROW = re.compile(r"/\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}\.json$")


@dataclass(frozen=True, slots=True)
class IndexQueryResult:
    """The segments of a time range, oldest first, and the keys of unreadable rows."""

    segments: tuple[Segment, ...]
    damaged: tuple[str, ...]


class Index:
    """Read access to the index rows of a store. Times are in seconds since the epoch."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def streams(self) -> list[str]:
        """The names of the streams that have segments."""
        return self._store.list_folders(f"{ROWS}/")

    def between(self, stream: str, start: float, end: float) -> IndexQueryResult:
        """The segments that overlap [start, end)."""
        validate_stream_name(stream)
        damaged: list[str] = []
        before = [row for row in self._backwards(stream, start, start, damaged) if row.end > start]
        inside = [self._row(key, damaged) for key in self._keys(stream, start, end)]
        segments = [*reversed(before), *(row for row in inside if row)]
        return IndexQueryResult(tuple(segments), tuple(damaged))

    def before(self, stream: str, start: float, lookback_s: float) -> Iterator[Segment]:
        """The segments that start before `start`, latest first, until one ends more than
        `lookback_s` seconds before it.
        """
        yield from self._backwards(stream, start, start - lookback_s, [])

    def after(self, stream: str, end: float) -> Segment | None:
        """The first segment that starts at or after `end`; None if there is none."""
        last = datetime.fromtimestamp(end, UTC)
        days = [day for day in self._days(stream) if day + _DAY > last]
        keys = (key for day in days for key in self._keys_of(stream, day) if row_start(key) >= end)
        return next(filter(None, (self._row(key, []) for key in keys)), None)

    def span(self, stream: str) -> tuple[float, float] | None:
        """Start of the first and end of the last segment of a stream; None if it has none."""
        days = self._days(stream)
        for day in days:
            first = next((self._row(key, []) for key in self._keys_of(stream, day)), None)
            if first:
                break
        else:
            return None
        last = next(self._backwards(stream, float("inf"), float("-inf"), []), first)
        return first.start, last.end

    def _backwards(
        self, stream: str, start: float, until: float, damaged: list[str]
    ) -> Iterator[Segment]:
        """The segments that start before `start` and end after `until`, latest first."""
        for day in reversed(self._days(stream)):
            if day.timestamp() >= start:
                continue
            for key in reversed(self._keys_of(stream, day)):
                if row_start(key) >= start:
                    continue
                row = self._row(key, damaged)
                if row and row.end <= until:
                    return
                if row:
                    yield row

    def _keys(self, stream: str, start: float, end: float) -> Iterator[str]:
        """Keys of the rows whose segments start in [start, end)."""
        first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        for day in self._days(stream):
            if first - _DAY < day <= last:
                yield from (k for k in self._keys_of(stream, day) if start <= row_start(k) < end)

    def _keys_of(self, stream: str, day: datetime) -> list[str]:
        found = self._store.list_objects(day_prefix(ROWS, stream, day))
        return [stored.key for stored in found if _ROW.search(stored.key)]

    def _days(self, stream: str) -> list[datetime]:
        """The days that have rows, oldest first."""
        prefix = f"{ROWS}/{stream}/"
        years = self._store.list_folders(prefix)
        months = [f"{y}/{m}/" for y in years for m in self._store.list_folders(f"{prefix}{y}/")]
        names = [
            month + day for month in months for day in self._store.list_folders(prefix + month)
        ]
        return [day for day in map(_day, names) if day]

    def _row(self, key: str, damaged: list[str]) -> Segment | None:
        try:
            return from_json(self._store.read(key), f"{self._store.name}: {key}")
        except MissingObjectError:
            return None  # deleted after it was listed
        except RowError:
            damaged.append(key)
            return None


def _day(name: str) -> datetime | None:
    try:
        return datetime.strptime(name + "+0000", "%Y/%m/%d%z")
    except ValueError:
        return None  # a folder that is not a date: not written by CodecSight


def row_start(key: str) -> float:
    """The start of a segment in Unix seconds, from the key of its row."""
    return parse_timestamp(key.rpartition("/")[2])
