"""Two spools that write one stream into one store: the second is refused, and loses nothing."""

from pathlib import Path

import pytest

from codecsight.archive.errors import ArchiveError
from codecsight.archive.store import ObjectStore
from codecsight.archive.upload.ownership import OwnedElsewhereError, Ownership, spool_id
from codecsight.archive.upload.uploader import Uploader
from tests.archive.upload.test_uploader import fill, spooled, stored_rows


def test_the_second_spool_of_a_stream_is_refused_and_keeps_its_footage(
    store: ObjectStore, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    made = fill(first, 2)
    assert Uploader(first, store).run_once() == 2
    kept = fill(second, 2)
    others = fill(second, 1, stream="cam2")
    uploader = Uploader(second, store)
    assert uploader.run_once() == 1
    assert "cam1 is written by another site or spool" in uploader.stats.last_error
    assert "owners/cam1.json" in uploader.stats.last_error
    assert spooled(second) == kept
    assert set(stored_rows(store)) == {segment.key for segment in (*made, *others)}
    more = fill(first, 1, start=made[-1].end)
    assert Uploader(first, store).run_once() == 1, "a restart of the first is no second"
    assert more[0].key in stored_rows(store)


def test_a_deleted_marker_lets_another_spool_take_over(store: ObjectStore, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for spool in (first, second):
        spool.mkdir()
    Ownership(first, store).claim("cam1")
    with pytest.raises(OwnedElsewhereError):
        Ownership(second, store).claim("cam1")
    store.delete("owners/cam1.json")
    Ownership(second, store).claim("cam1")


def test_a_spool_has_one_id_for_good(tmp_path: Path) -> None:
    assert len(spool_id(tmp_path)) == 16
    assert spool_id(tmp_path) == spool_id(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".id"]


def test_something_else_at_the_markers_place_is_named(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("owners/cam1.json", b"[1]")
    with pytest.raises(ArchiveError, match=r"owners/cam1\.json is not a marker"):
        Ownership(tmp_path, store).claim("cam1")
