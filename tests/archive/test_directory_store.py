"""Failures specific to the folder store."""

import os
import time
from pathlib import Path

import pytest

from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError


def test_a_half_written_object_is_hidden_and_deleted_after_a_day(tmp_path: Path) -> None:
    DirectoryStore(tmp_path)
    old, new = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert list(DirectoryStore(tmp_path).list_objects("")) == []
    assert not old.exists()
    assert new.exists()


def test_an_unwritable_folder_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="file/archive"):
        DirectoryStore(tmp_path / "file" / "archive")


def test_opening_without_create_creates_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="typo: no such folder"):
        DirectoryStore(tmp_path / "typo", create=False)
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_disappears_is_named_in_the_error(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "usb")
    (tmp_path / "usb" / ".incoming").rmdir()
    (tmp_path / "usb").rmdir()
    with pytest.raises(ArchiveError, match=r"usb.*check that it exists"):
        store.put_bytes("rows/a", b"x")


def test_a_new_archive_is_private_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    for folder in (tmp_path / "new", shared):
        DirectoryStore(folder)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "shared")]
    assert modes == [0o700, 0o755]
