"""Finding segments again: rows by stream and time, read from the store's listing.

Rows stand under rows/STREAM/YEAR/MONTH/DAY/ and are named by their start, so that a range of time
lists the days it touches and reads the rows it needs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from codecsight.archive.segment import (
    ROWS,
    RowError,
    Segment,
    day_prefix,
    from_json,
    parse_timestamp,
    validate_stream_name,
)
from codecsight.archive.store import MissingObjectError, ObjectStore

_DAY = timedelta(days=1)
_ROW = re.compile(r"/\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}\.json$")


@dataclass(frozen=True, slots=True)
class IndexQueryResult:
    """The segments of a range in the order of time, and the keys of rows nobody can read."""

    segments: tuple[Segment, ...]
    damaged: tuple[str, ...]


class Index:
    """The index of what a store holds."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def streams(self) -> list[str]:
        """The streams that have segments."""
        return self._store.list_folders(f"{ROWS}/")

    def between(self, stream: str, start: float, end: float) -> IndexQueryResult:
        """The segments that hold something of [start, end), seconds since the epoch."""
        validate_stream_name(stream)
        damaged: list[str] = []
        before = [row for row in self._backwards(stream, start, start, damaged) if row.end > start]
        inside = [self._row(key, damaged) for key in self._keys(stream, start, end)]
        segments = [*reversed(before), *(row for row in inside if row)]
        return IndexQueryResult(tuple(segments), tuple(damaged))

    def before(self, stream: str, start: float, reach: float) -> Iterator[Segment]:
        """The segments that began before `start`, latest first, while their end is within `reach`
        seconds of it.
        """
        yield from self._backwards(stream, start, start - reach, [])

    def span(self, stream: str) -> tuple[float, float] | None:
        """From when to when there are segments of a stream (with whatever gaps), None if none."""
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
        for day in reversed(self._days(stream)):
            if day.timestamp() >= start:
                continue
            for key in reversed(self._keys_of(stream, day)):
                if _began(key) >= start:
                    continue
                row = self._row(key, damaged)
                if row and row.end <= until:
                    return
                if row:
                    yield row

    def _keys(self, stream: str, start: float, end: float) -> Iterator[str]:
        """Keys of the rows that begin in [start, end)."""
        first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        for day in self._days(stream):
            if first - _DAY < day <= last:
                yield from (k for k in self._keys_of(stream, day) if start <= _began(k) < end)

    def _keys_of(self, stream: str, day: datetime) -> list[str]:
        found = self._store.list_objects(day_prefix(ROWS, stream, day))
        return [one.key for one in found if _ROW.search(one.key)]

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
            return None  # deleted since it was listed
        except RowError:
            damaged.append(key)
            return None


def _day(name: str) -> datetime | None:
    try:
        return datetime.strptime(name + "+0000", "%Y/%m/%d%z")
    except ValueError:
        return None  # not ours


def _began(key: str) -> float:
    return parse_timestamp(key.rpartition("/")[2])
