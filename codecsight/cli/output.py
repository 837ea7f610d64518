"""Output of commands: text and tables on a terminal, JSON lines on stdout, errors on stderr."""

import json
import sys
from typing import Any

from rich.console import Console

out = Console()
err = Console(stderr=True)


def print_error(error: Exception) -> None:
    """Print an error message to stderr, which keeps --json output on stdout clean."""
    err.print("[bold red]error[/]", end=": ")
    err.print(str(error), markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON to stdout and flush it, for readers of a pipe."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
