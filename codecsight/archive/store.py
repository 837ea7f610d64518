"""The object store interface, implemented by a folder and by S3."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from codecsight.archive.errors import ArchiveError, ChecksumError, DamagedFileError

READ_BYTES = 1 << 20
"""Bytes that are read at a time."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's key and its size in bytes."""

    key: str
    size: int


class ObjectStore(ABC):
    """Objects by key. A key is a relative path such as `rows/cam1/2026/11/23/x.json`.

    Puts are atomic: an object is visible whole or not at all, even if the process that puts it is
    killed. Every method raises ArchiveError, which names the store, on failure. Each process
    creates its own store object; threads may share it.
    """

    name: str
    """The store's name in messages; contains no secret."""

    @abstractmethod
    def put_file(self, key: str, path: Path, sha256: str) -> None:
        """Store a file, verify that it arrived. Raises FileNotFoundError if it is missing,
        DamagedFileError if it can't be read, ChecksumError if its SHA-256 is not `sha256` (hex).
        """

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Store a small object."""

    @abstractmethod
    def iter_content(self, key: str) -> Iterator[bytes]:
        """An object's content, READ_BYTES at a time. Raises MissingObjectError."""

    @abstractmethod
    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys start with `prefix`. Those of one folder are sorted by name; the
        order of folders depends on the server.
        """

    @abstractmethod
    def list_folders(self, prefix: str) -> list[str]:
        """The folder names directly under `prefix` (which ends in '/'), sorted."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """An object's size in bytes, or None if it does not exist."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object if it exists."""

    def local_path(self, key: str) -> Path | None:
        """The file of an object that is on this machine; None if it must be downloaded."""
        del key
        return None

    def read(self, key: str, limit: int = 1 << 20) -> bytes:
        """A small object's whole content. Raises MissingObjectError, and ArchiveError if it is
        larger than `limit` bytes.
        """
        data = b""
        for piece in self.iter_content(key):
            data += piece
            if len(data) > limit:
                raise ArchiveError(f"{self.name}: {key} is larger than the {limit} bytes expected")
        return data

    def download(self, key: str, path: Path) -> str:
        """Write an object's content to a file and return its SHA-256 in hex. Raises
        MissingObjectError, and OSError if the file can't be written.
        """
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for piece in self.iter_content(key):
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def sha256(self, key: str) -> str:
        """The SHA-256, in hex, of an object's content as read back. Raises MissingObjectError."""
        digest = hashlib.sha256()
        for piece in self.iter_content(key):
            digest.update(piece)
        return digest.hexdigest()


def validate_key(key: str) -> str:
    """Return a valid key: names joined by '/', none empty or starting with a dot.

    Raises ArchiveError otherwise: such a key could leave the store or be hidden in it.
    """
    if "\0" in key or "\\" in key or any(not n or n.startswith(".") for n in key.split("/")):
        raise ArchiveError(f"{key!r} is not a valid key: names joined by '/', none empty or hidden")
    return key


def read_blocks(path: Path) -> Iterator[bytes]:
    """A local file's content, READ_BYTES at a time. Raises FileNotFoundError at once if it is
    missing, and DamagedFileError if it can't be read.
    """
    with _damage(path):
        file = path.open("rb")
    return _blocks(path, file)


def _blocks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    with file:
        while True:
            with _damage(path):
                data = file.read(READ_BYTES)
            if not data:
                return
            yield data


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFileError(
            f"{path} can't be read: {error.strerror or error}; the disk may be failing"
        ) from error


def verify_checksum(path: Path, found: str, sha256: str) -> None:
    """Raise ChecksumError if the hash `found` of a file is not the `sha256` in its row."""
    if found != sha256:
        raise ChecksumError(
            f"{path}: the recording changed after its row was written (SHA-256 {found[:8]}.., "
            f"expected {sha256[:8]}..); the disk may be failing"
        )
