"""All recorded footage of one stream: in the store, and in the spool of its site where given."""

import hashlib
from heapq import merge
from pathlib import Path

from codecsight.archive.errors import MissingObjectError
from codecsight.archive.footage.spool_footage import (
    NO_CHECKSUM,
    LocalSegment,
    SpoolFootage,
    link_or_copy,
)
from codecsight.archive.index import Index, IndexQueryResult, row_start
from codecsight.archive.segment import Segment
from codecsight.archive.store import ObjectStore


class Footage:
    """The segments of a stream. Times are in seconds since the epoch.

    A segment in both places is counted once. Files that have to be downloaded go to `folder`.
    Methods raise ArchiveError if the store fails.
    """

    def __init__(
        self, store: ObjectStore, stream: str, folder: Path, spool: SpoolFootage | None = None
    ) -> None:
        self.stream = stream
        self._store = store
        self._index = Index(store)
        self._folder = folder
        self._spool = spool or SpoolFootage((), ())
        self._local = {one.segment.key: one for one in self._spool.segments}

    def between(self, start: float, end: float) -> IndexQueryResult:
        """The segments that overlap [start, end)."""
        stored = self._index.between(self.stream, start, end)
        local = [s for s in self._spooled() if s.start < end and s.end > start]
        found = {segment.key: segment for segment in [*stored.segments, *local]}
        ordered = sorted(found.values(), key=lambda segment: segment.start)
        damaged = (row for row in self._spool.damaged if start <= row_start(row) < end)
        return IndexQueryResult(tuple(ordered), (*stored.damaged, *damaged))

    def lead_in(
        self, first: Segment, start: float, lookback_s: float, gap_s: float
    ) -> list[Segment]:
        """The segments before `first` that hold the start of the GOP at `start`, oldest first.

        They are needed only if `first` has no key frame at or before `start`: a GOP longer than a
        segment continues in the next one. A pause of more than `gap_s` seconds ends the search.
        """
        spooled = [s for s in reversed(self._spooled()) if s.start < first.start]
        stored = self._index.before(self.stream, first.start, lookback_s)
        needed: list[Segment] = []
        head = first
        for row in merge(stored, spooled, key=lambda segment: -segment.start):
            if head.gops and (head.start + head.gops[0] <= start or head.gops[0] == 0.0):
                break
            if head.start - row.end > gap_s:
                break
            if row.key != head.key:
                needed.insert(0, row)
            head = row
        return needed

    def around(self, start: float, end: float) -> tuple[float | None, float | None]:
        """End of the last segment before `start`, and start of the first at or after `end`."""
        stored = next(self._index.before(self.stream, start, float("inf")), None)
        before = [s.end for s in [*self._spooled(), *filter(None, [stored])] if s.start < start]
        following = self._index.after(self.stream, end)
        after = [s.start for s in [*self._spooled(), *filter(None, [following])] if s.start >= end]
        return max(before, default=None), min(after, default=None)

    def span(self) -> tuple[float, float] | None:
        """Start of the first and end of the last segment; None if there is none."""
        spans = [(s.start, s.end) for s in self._spooled()]
        spans += filter(None, [self._index.span(self.stream)])
        if not spans:
            return None
        return min(start for start, _ in spans), max(end for _, end in spans)

    def streams(self) -> list[str]:
        """The names of the streams in the store."""
        return self._index.streams()

    def fetch(self, segment: Segment) -> LocalSegment | str:
        """The segment's verified file, or the reason why there is none. Raises OSError if the file
        can't be written.
        """
        if segment.sha256 == NO_CHECKSUM:
            return self._local[segment.key]
        try:
            path, found = self._from_spool(segment.key) or self._from_store(segment.key)
        except MissingObjectError:
            return f"{segment.key} is missing"
        return (
            LocalSegment(segment, path) if found == segment.sha256 else f"{segment.key} is damaged"
        )

    def _from_spool(self, key: str) -> tuple[Path, str] | None:
        """As `_from_store`; None if the spool has no such file, or the uploader has moved it."""
        local = self._local.get(key)
        try:
            path = link_or_copy(local.path, self._folder) if local else None
        except FileNotFoundError:
            return None
        if path is None:
            return None
        with path.open("rb") as file:
            return path, hashlib.file_digest(file, "sha256").hexdigest()

    def _from_store(self, key: str) -> tuple[Path, str]:
        """A file with the object's content, and its checksum."""
        path = self._store.local_path(key)
        if path is not None:
            return path, self._store.sha256(key)
        path = self._folder / key.rpartition("/")[2]
        return path, self._store.download(key, path)

    def _spooled(self) -> list[Segment]:
        return [one.segment for one in self._spool.segments]
