"""Video and picture files that commands write: checked before the work, visible when complete."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import av

from codecsight.archive.errors import ArchiveError


def check_output(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Raise ArchiveError if `path` can't be written, or does not end in one of `suffixes`."""
    if path.suffix.lower() not in suffixes:
        forms = " or ".join(suffixes)
        raise ArchiveError(
            f"{path}: {what} must be an {forms} file; name it so, as in x{suffixes[0]}"
        )
    if path.is_dir():
        raise ArchiveError(f"{path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ArchiveError(f"{path}: there is no folder {path.parent}; create it or name another")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ArchiveError(
            f"{path}: can't write into the folder {path.parent} (read-only, or no permission); "
            "name another"
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block succeeds.

    It is deleted otherwise. An error of the disk or of FFmpeg becomes an ArchiveError that names
    `path`.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or str(error)
        raise ArchiveError(f"{path}: can't write it: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
