"""One spool per stream in a store: a second site that writes the same stream is refused.

Two sites with one prefix and one stream name would double every clip. So the first upload of a
stream leaves a marker in the store, `owners/STREAM.json`, with the id of the spool that it came
from; every spool has a random one, in its file `.id`. Another spool's uploads of that stream are
refused, and stay in their spool.
"""

import json
import secrets
from pathlib import Path

from codecsight.archive.errors import ArchiveError, MissingObjectError
from codecsight.archive.fsync import sync_file
from codecsight.archive.store import ObjectStore

OWNERS = "owners"
ID_FILE = ".id"


class OwnedElsewhereError(ArchiveError):
    """Another spool writes this stream into the store."""


class Ownership:
    """What the spool at `spool` owns in a store. Thread-safe: claims are idempotent."""

    def __init__(self, spool: Path, store: ObjectStore) -> None:
        self._spool, self._store = spool, store
        self._claimed: set[str] = set()

    def claim(self, stream: str) -> None:
        """Mark a stream as this spool's, once. Raises OwnedElsewhereError, or ArchiveError if the
        store fails.
        """
        if stream in self._claimed:
            return
        key, own = f"{OWNERS}/{stream}.json", spool_id(self._spool)
        try:
            owner = json.loads(self._store.read(key)).get("spool")
        except MissingObjectError:
            self._store.put_bytes(key, json.dumps({"spool": own}).encode())
            owner = own
        except (ValueError, AttributeError) as error:
            raise ArchiveError(f"{self._store.name}: {key} is not a marker; delete it") from error
        if owner != own:
            raise OwnedElsewhereError(
                f"{self._store.name}: the stream {stream} is written by another site or spool. "
                "Give one of them another name or prefix; if this spool replaces the other one, "
                f"delete {key} in the store"
            )
        self._claimed.add(stream)


def spool_id(spool: Path) -> str:
    """The id of a spool, made when it is first asked for. Raises ArchiveError if the disk fails."""
    path = spool / ID_FILE
    try:
        if not path.exists():
            part = path.with_suffix(f".{secrets.token_hex(4)}")
            with part.open("wb") as file:
                file.write(secrets.token_hex(8).encode())
                sync_file(file)
            try:
                path.hardlink_to(part)  # unlike a rename, never replaces one made meanwhile
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path}: can't be written or read: {error}") from error
