"""Output of commands: text and tables on a terminal, JSON lines on stdout, errors on stderr."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from codecsight.core.errors import CodecSightError
from codecsight.core.json_values import finite
from codecsight.core.urls.redaction import redact_text

out = Console()
err = Console(stderr=True)


class OutputError(CodecSightError):
    """Standard output can't be written; the message says why."""


def prepare_output() -> None:
    """Let standard output and error take any text, whatever the locale's encoding.

    A character that the encoding lacks is written as an escape such as \\xe9. An error of standard
    output, such as a full disk, becomes an OutputError; a closed one counts as /dev/null.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _StandardOutput(sys.stdout)


def print_error(error: Exception) -> None:
    """Print an error message to stderr, which keeps --json output on stdout clean."""
    with contextlib.suppress(OSError):  # nobody can be told; the exit code remains
        err.print("[bold red]error[/]", end=": ")
        err.print(redact_text(str(error)), markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON to stdout and flush it, for readers of a pipe.

    JSON has no NaN and no infinity: both are printed as null.
    """
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(finite(value), ensure_ascii=plain, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _StandardOutput(io.TextIOWrapper):
    """Standard output that raises OutputError; a closed pipe stays a BrokenPipeError."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
        )
        self._stream = stream  # when it is deleted, it closes the buffer

    def write(self, text: str, /) -> int:
        with _output_errors():
            return super().write(text)

    def flush(self) -> None:
        with _output_errors():
            super().flush()


@contextlib.contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still buffered would fail again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise OutputError(f"can't write to standard output: {error.strerror}") from error
