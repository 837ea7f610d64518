"""Reads a pipe: a FIFO, or standard input that another process writes to."""

import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

from codecsight.video.capture.files.local_path import STDIN
from codecsight.video.capture.source import SourceError

FIRST_DATA_S = 30.0
_POLL_S = 0.2


def is_pipe(path: Path) -> bool:
    """Whether `path` is a FIFO, a socket or a terminal: something that can be read only once."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


class PipeReader:
    """A file object over a pipe, for FFmpeg. Reading ends at the end of the data or when `stopped`.

    Opening a FIFO waits for its writer, at most `first_data_s` seconds. Raises SourceError if
    nothing comes until then, or for a terminal.
    """

    def __init__(
        self, path: Path, stopped: Callable[[], bool], first_data_s: float = FIRST_DATA_S
    ) -> None:
        self._path = path
        self._stopped = stopped
        self._file = _open(path)
        deadline = time.monotonic() + first_data_s
        while not self._has_data():
            if time.monotonic() > deadline or stopped():
                os.close(self._file)
                raise SourceError(
                    f"{path}: nothing was written to it within {first_data_s:g} s; "
                    "start the process that writes the video"
                )

    def read(self, size: int) -> bytes:
        """At most `size` bytes as soon as there are some; empty at the end."""
        while not self._has_data():
            if self._stopped():
                return b""
        return os.read(self._file, size)

    def close(self) -> None:
        """Close this end of the pipe; the writer gets an error."""
        os.close(self._file)

    def _has_data(self) -> bool:
        """Whether data or the end of it comes within _POLL_S."""
        poller = select.poll()
        poller.register(self._file, select.POLLIN)
        events = poller.poll(_POLL_S * 1000)
        return any(event & (select.POLLIN | select.POLLHUP) for _, event in events)


def _open(path: Path) -> int:
    # Without O_NONBLOCK, opening a FIFO would wait for its writer without a limit.
    flags = os.O_RDONLY | os.O_NONBLOCK
    try:
        file = os.dup(0) if path == STDIN else os.open(path, flags)
    except OSError as error:
        raise SourceError(f"{path}: can't be opened: {error.strerror}") from error
    if os.isatty(file):
        os.close(file)
        raise SourceError(
            f"{path}: is a terminal; pipe a video into it: cat yard.ts | codecsight .."
        )
    return file
