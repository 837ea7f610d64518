"""The object store contract, checked for every implementation."""

import hashlib
import os
from pathlib import Path

import pytest

from codecsight.archive.errors import ArchiveError, ChecksumError, MissingObjectError
from codecsight.archive.store import ObjectStore, StoredObject


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file larger than one multipart upload part, of an odd size."""
    path = tmp_path / "video.mkv"
    path.write_bytes(os.urandom((17 << 20) + 13))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_round_trips_byte_for_byte(store: ObjectStore, video: Path, tmp_path: Path) -> None:
    store.put_file("segments/cam1/a.mkv", video, digest(video))
    assert store.size("segments/cam1/a.mkv") == video.stat().st_size
    assert store.sha256("segments/cam1/a.mkv") == digest(video)
    assert store.download("segments/cam1/a.mkv", tmp_path / "back") == digest(video)
    assert (tmp_path / "back").read_bytes() == video.read_bytes()


def test_putting_an_object_again_overwrites_it(store: ObjectStore) -> None:
    store.put_bytes("rows/a.json", b"one")
    store.put_bytes("rows/a.json", b"two")
    assert store.read("rows/a.json") == b"two"


def test_an_object_may_be_empty(store: ObjectStore) -> None:
    store.put_bytes("rows/empty", b"")
    assert store.size("rows/empty") == 0
    assert store.read("rows/empty") == b""


def test_objects_are_listed_by_prefix_and_sorted_within_a_folder(store: ObjectStore) -> None:
    keys = ["rows/a-b/1", "rows/a/1", "rows/a/10", "rows/a/2", "rows/b/1", "segments/a/1"]
    for key in reversed(keys):
        store.put_bytes(key, key.encode())
    listed = [StoredObject(key, len(key)) for key in keys]
    assert sorted(store.list_objects(""), key=lambda stored: stored.key) == listed
    assert sorted(store.list_objects("rows/"), key=lambda stored: stored.key) == listed[:5]
    assert list(store.list_objects("rows/a/")) == listed[1:4]
    assert list(store.list_objects("rows/a/1")) == listed[1:3]
    assert list(store.list_objects("nothing/")) == []


def test_folders_are_listed_one_level_deep(store: ObjectStore) -> None:
    for key in ("rows/b/2026/x", "rows/a/2026/x", "rows/file", "other/c/x"):
        store.put_bytes(key, b"x")
    assert store.list_folders("rows/") == ["a", "b"]
    assert store.list_folders("rows/a/") == ["2026"]
    assert store.list_folders("nothing/") == []


def test_deleting_an_object_twice_is_no_error(store: ObjectStore) -> None:
    store.put_bytes("rows/a", b"x")
    store.delete("rows/a")
    store.delete("rows/a")
    assert store.size("rows/a") is None
    assert list(store.list_objects("")) == []


def test_reading_a_missing_object_is_an_error_that_names_it(
    store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(MissingObjectError, match="rows/none"):
        store.read("rows/none")
    with pytest.raises(MissingObjectError, match="rows/none"):
        store.download("rows/none", tmp_path / "back")


def test_a_file_with_another_checksum_is_rejected(store: ObjectStore, video: Path) -> None:
    with pytest.raises(ChecksumError, match=r"video\.mkv"):
        store.put_file("segments/a.mkv", video, "0" * 64)
    assert list(store.list_objects("")) == []


def test_putting_a_missing_file_raises_file_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file("segments/a.mkv", tmp_path / "gone", "0" * 64)


@pytest.mark.parametrize("key", ["../a", "/etc/a", "a//b", "a/../b", "", "a/.hidden", "a\\b", "."])
def test_a_key_that_would_leave_the_store_is_rejected(store: ObjectStore, key: str) -> None:
    with pytest.raises(ArchiveError, match="is not a valid key"):
        store.put_bytes(key, b"x")


def test_reading_an_object_above_the_limit_is_an_error(store: ObjectStore) -> None:
    store.put_bytes("rows/big", bytes(5000))
    with pytest.raises(ArchiveError, match="larger than"):
        store.read("rows/big", limit=1000)
