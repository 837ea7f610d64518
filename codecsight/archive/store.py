"""Where segments and rows are kept: one interface, whatever is behind it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codecsight.archive.errors import ArchiveError

READ_BYTES = 1 << 20


class MissingObjectError(ArchiveError):
    """There is no object by that key."""


class ChecksumError(ArchiveError):
    """A local file is not what its row says."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's key and its size in bytes."""

    key: str
    size: int


class ObjectStore(ABC):
    """Objects by key. A key is a path of plain names, such as `rows/cam1/2026/11/23/x.json`.

    An object is seen whole or not at all, whatever becomes of the process that puts it. Every
    method raises ArchiveError, naming the store, where it cannot do its work. One process, one
    store object; threads may share it.
    """

    name: str
    """The store as messages name it; holds no secret."""

    @abstractmethod
    def put_file(self, key: str, path: Path, sha256: str) -> None:
        """Store a file and make sure that it arrived. Raises ChecksumError if its content is
        not `sha256` (hex), and FileNotFoundError if the file is gone.
        """

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Store a small object."""

    @abstractmethod
    def iter_content(self, key: str) -> Iterator[bytes]:
        """An object's content, piece by piece. Raises MissingObjectError."""

    @abstractmethod
    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys begin with `prefix`; those of one folder in the order of their
        names (servers differ in how they order folders).
        """

    @abstractmethod
    def list_folders(self, prefix: str) -> list[str]:
        """The names that follow `prefix` (ending in '/') up to the next '/', sorted."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """An object's size in bytes, None where there is none."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; that there is none is no error."""

    def read(self, key: str, limit: int = 1 << 20) -> bytes:
        """A small object whole. Raises ArchiveError above `limit` bytes, MissingObjectError."""
        data = b""
        for chunk in self.iter_content(key):
            data += chunk
            if len(data) > limit:
                raise ArchiveError(f"{self.name}: {key} is larger than the {limit} bytes expected")
        return data

    def download(self, key: str, path: Path) -> str:
        """Write an object's content to a file; its SHA-256 in hex. Raises MissingObjectError, and
        OSError where the file cannot be written.
        """
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in self.iter_content(key):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def sha256(self, key: str) -> str:
        """The SHA-256, in hex, of an object read back whole. Raises MissingObjectError."""
        digest = hashlib.sha256()
        for chunk in self.iter_content(key):
            digest.update(chunk)
        return digest.hexdigest()


def validate_key(key: str) -> str:
    """The key, if it is one: names joined by '/', none empty and none beginning with a dot."""
    if "\0" in key or "\\" in key or any(not n or n.startswith(".") for n in key.split("/")):
        raise ArchiveError(f"{key!r} is no key: it would leave the store or hide in it")
    return key


def verify_checksum(path: Path, found: str, sha256: str) -> None:
    """ChecksumError if a file's hash is not the one its row tells."""
    if found != sha256:
        raise ChecksumError(
            f"{path}: the recording changed since its row was written (SHA-256 {found[:8]}.., "
            f"expected {sha256[:8]}..): is the disk failing?"
        )
