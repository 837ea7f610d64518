"""Object store in a plain folder, for a laptop, a NAS or a site without S3."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codecsight.archive.errors import ArchiveError, MissingObjectError
from codecsight.archive.fsync import sync_file, sync_folder
from codecsight.archive.store import (
    READ_BYTES,
    ObjectStore,
    StoredObject,
    read_blocks,
    validate_key,
    verify_checksum,
)

_TEMPORARY = ".incoming"
PRIVATE = 0o700
"""Mode of a new archive folder. One that exists keeps its mode, and so decides who may read."""
_STALE_S = 24 * 3600.0


class DirectoryStore(ObjectStore):
    """Objects are files under `root`; the key is the path.

    A file is written under a temporary name, synced and renamed to its key. A file that a killed
    process left half-written is never listed and is deleted after a day. Without `create` the
    folder must exist (else ArchiveError) and is only read.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.name = f"archive folder {root}"
        self._root = root
        self._temporary = root / _TEMPORARY
        if not create:
            if not root.is_dir():
                raise ArchiveError(f"{self.name}: no such folder")
            return
        with self._disk_errors():
            self._root.parent.mkdir(parents=True, exist_ok=True)
            self._root.mkdir(mode=PRIVATE, exist_ok=True)
            self._temporary.mkdir(mode=PRIVATE, exist_ok=True)
            for file in self._temporary.iterdir():
                if time.time() - file.stat().st_mtime > _STALE_S:
                    file.unlink(missing_ok=True)

    def put_file(self, key: str, path: Path, sha256: str) -> None:  # noqa: D102
        digest, blocks = hashlib.sha256(), read_blocks(path)
        with self._atomic_write(key) as target:
            for data in blocks:
                digest.update(data)
                target.write(data)
            verify_checksum(path, digest.hexdigest(), sha256)

    def put_bytes(self, key: str, data: bytes) -> None:  # noqa: D102
        with self._atomic_write(key) as target:
            target.write(data)

    def iter_content(self, key: str) -> Iterator[bytes]:  # noqa: D102
        path = self._path(key)
        with self._disk_errors():
            try:
                file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise MissingObjectError(f"{self.name} has no {key}") from None
            with file:
                while data := file.read(READ_BYTES):
                    yield data

    def local_path(self, key: str) -> Path | None:  # noqa: D102
        return self._path(key)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:  # noqa: D102
        folder = self._root / prefix.rpartition("/")[0]
        with self._disk_errors():
            yield from (
                StoredObject(key, path.stat().st_size)
                for key, path in self._walk(folder)
                if key.startswith(prefix)
            )

    def list_folders(self, prefix: str) -> list[str]:  # noqa: D102
        folder = self._root / prefix
        with self._disk_errors():
            if not folder.is_dir():
                return []
            return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")

    def size(self, key: str) -> int | None:  # noqa: D102
        path = self._path(key)
        with self._disk_errors():
            return path.stat().st_size if path.is_file() else None

    def delete(self, key: str) -> None:  # noqa: D102
        path = self._path(key)
        with self._disk_errors():
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / validate_key(key)

    def _walk(self, folder: Path) -> Iterator[tuple[str, Path]]:
        if not folder.is_dir():
            return
        for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            if path.is_dir():
                yield from self._walk(path)
            else:
                yield path.relative_to(self._root).as_posix(), path

    @contextmanager
    def _atomic_write(self, key: str) -> Iterator[BinaryIO]:
        """A file that becomes the object if the block succeeds and is deleted otherwise."""
        path = self._path(key)
        temporary = self._temporary / uuid.uuid4().hex
        with self._disk_errors():
            try:
                with temporary.open("wb") as file:
                    yield file
                    sync_file(file)
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(path)
                sync_folder(path.parent)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn an OSError of the block into an ArchiveError that names the folder."""
        try:
            yield
        except OSError as error:
            raise ArchiveError(
                f"{self.name}: {error.strerror or error}; check that it exists, that it is "
                "writable, and that the disk is not full"
            ) from error
