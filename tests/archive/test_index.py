"""Lookup of segments by time, with few requests to the store."""

import pytest

from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.index import Index
from codecsight.archive.segment import Segment, row_key, segment_key, to_json
from codecsight.archive.store import ObjectStore

SHA = "ab" * 32
DAY = 1_795_392_000.0
"""2026-11-23 00:00:00 UTC."""


def put(store: ObjectStore, start: float, seconds: float = 10.0, stream: str = "cam1") -> Segment:
    key = segment_key(stream, start, SHA)
    segment = Segment(stream, start, start + seconds, (0.0,), 1, SHA, key)
    store.put_bytes(row_key(segment), to_json(segment))
    return segment


def test_a_query_returns_the_overlapping_segments_in_order(store: ObjectStore) -> None:
    made = [put(store, DAY + 10 * index) for index in range(6)]
    put(store, DAY + 25, stream="cam2")
    found = Index(store).between("cam1", DAY + 15, DAY + 40)
    assert found.segments == tuple(made[1:4])
    assert found.damaged == ()


def test_a_query_may_span_midnight_and_new_year(folder_store: DirectoryStore) -> None:
    new_year = 1_798_761_600.0
    made = [put(folder_store, new_year + 10 * index - 25) for index in range(6)]
    assert Index(folder_store).between("cam1", new_year - 1, new_year + 1).segments == tuple(
        made[2:3]
    )
    assert Index(folder_store).between("cam1", new_year - 11, new_year + 11).segments == tuple(
        made[1:4]
    )


def test_a_segment_that_started_the_day_before_is_found(folder_store: DirectoryStore) -> None:
    long = put(folder_store, DAY - 600, seconds=900)
    assert Index(folder_store).between("cam1", DAY + 100, DAY + 200).segments == (long,)


def test_an_empty_range_and_an_unknown_stream_return_no_segments(
    folder_store: DirectoryStore,
) -> None:
    put(folder_store, DAY)
    index = Index(folder_store)
    assert index.between("cam1", DAY + 10, DAY + 20).segments == ()
    assert index.between("cam9", DAY, DAY + 20).segments == ()


def test_a_damaged_row_is_reported_and_the_others_are_returned(
    folder_store: DirectoryStore,
) -> None:
    made = [put(folder_store, DAY + 10 * index) for index in range(3)]
    folder_store.put_bytes(row_key(made[1]), b"{ half")
    found = Index(folder_store).between("cam1", DAY, DAY + 30)
    assert found.segments == (made[0], made[2])
    assert found.damaged == (row_key(made[1]),)


def test_what_is_not_ours_is_passed_over(folder_store: DirectoryStore) -> None:
    made = put(folder_store, DAY)
    for key in ("rows/cam1/notes/a/b/c.json", "rows/cam1/2026/99/01/x.json"):
        folder_store.put_bytes(key, b"x")
    folder_store.put_bytes("rows/cam1/2026/11/23/readme.json", b"x")
    assert Index(folder_store).between("cam1", DAY, DAY + 9).segments == (made,)


def test_streams_and_their_span_are_known(store: ObjectStore) -> None:
    put(store, DAY)
    put(store, DAY + 86_400 * 40)
    put(store, DAY + 5, stream="cam2")
    index = Index(store)
    assert index.streams() == ["cam1", "cam2"]
    assert index.span("cam1") == (DAY, DAY + 86_400 * 40 + 10)
    assert index.span("cam9") is None


class CountingStore(DirectoryStore):
    """A folder store that counts its reads and listings."""

    reads = 0
    lists = 0

    def read(self, key: str, limit: int = 1 << 20) -> bytes:
        self.reads += 1
        return super().read(key, limit)

    def list_objects(self, prefix: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
        self.lists += 1
        return super().list_objects(prefix)


def test_a_query_reads_only_the_rows_it_needs(folder_store: DirectoryStore) -> None:
    for day in range(5):
        for index in range(20):
            put(folder_store, DAY + 86_400 * day + 10 * index)
    store = CountingStore(folder_store._root)
    found = Index(store).between("cam1", DAY + 86_400 * 2 + 50, DAY + 86_400 * 2 + 80)
    assert len(found.segments) == 3
    assert store.reads == 4  # the three and the one before them
    assert store.lists <= 3


@pytest.mark.parametrize("lookback_s", [5.0, 25.0])
def test_earlier_segments_are_returned_latest_first(
    folder_store: DirectoryStore, lookback_s: float
) -> None:
    made = [put(folder_store, DAY + 10 * index) for index in range(5)]
    before = list(Index(folder_store).before("cam1", DAY + 40, lookback_s))
    assert before == made[3:2:-1] if lookback_s == 5.0 else made[3:0:-1]
