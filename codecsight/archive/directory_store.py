"""A plain folder as object store: a laptop, a NAS, a site that needs no S3."""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codecsight.archive.errors import ArchiveError
from codecsight.archive.store import (
    READ_BYTES,
    MissingObjectError,
    ObjectStore,
    StoredObject,
    validate_key,
    verify_checksum,
)

_INCOMING = ".incoming"
_STALE_S = 24 * 3600.0


class DirectoryStore(ObjectStore):
    """Objects are files under `root`, with the key as their path.

    A file is written beside the others, synced, and renamed to its key. What a killed process left
    half-written is never listed, and is deleted a day later. Without `create` the folder is there
    to be read only, or ArchiveError is raised.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.name = f"archive folder {root}"
        self._root = root
        self._incoming = root / _INCOMING
        if not create:
            if not root.is_dir():
                raise ArchiveError(f"{self.name}: no such folder")
            return
        with self._disk():
            self._incoming.mkdir(parents=True, exist_ok=True)
            for left in self._incoming.iterdir():
                if time.time() - left.stat().st_mtime > _STALE_S:
                    left.unlink(missing_ok=True)

    def put_file(self, key: str, path: Path, sha256: str) -> None:  # noqa: D102
        digest = hashlib.sha256()
        with path.open("rb") as source, self._arriving(key) as target:
            while chunk := source.read(READ_BYTES):
                digest.update(chunk)
                target.write(chunk)
            verify_checksum(path, digest.hexdigest(), sha256)

    def put_bytes(self, key: str, data: bytes) -> None:  # noqa: D102
        with self._arriving(key) as target:
            target.write(data)

    def iter_content(self, key: str) -> Iterator[bytes]:  # noqa: D102
        path = self._path(key)
        with self._disk():
            try:
                file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise MissingObjectError(f"{self.name} has no {key}") from None
            with file:
                while chunk := file.read(READ_BYTES):
                    yield chunk

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:  # noqa: D102
        folder = self._root / prefix.rpartition("/")[0]
        with self._disk():
            yield from (
                StoredObject(key, path.stat().st_size)
                for key, path in self._walk(folder)
                if key.startswith(prefix)
            )

    def list_folders(self, prefix: str) -> list[str]:  # noqa: D102
        folder = self._root / prefix
        with self._disk():
            if not folder.is_dir():
                return []
            return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")

    def size(self, key: str) -> int | None:  # noqa: D102
        path = self._path(key)
        with self._disk():
            return path.stat().st_size if path.is_file() else None

    def delete(self, key: str) -> None:  # noqa: D102
        path = self._path(key)
        with self._disk():
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
    def _arriving(self, key: str) -> Iterator[BinaryIO]:
        """A file that becomes the object when the block ends well, and vanishes otherwise."""
        path = self._path(key)
        temporary = self._incoming / uuid.uuid4().hex
        with self._disk():
            try:
                with temporary.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(path)
                _sync(path.parent)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(
                f"{self.name}: {error.strerror or error}; is it there, writable, and not full?"
            ) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
