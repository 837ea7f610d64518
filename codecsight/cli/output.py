"""How commands speak: tables and progress for people on stderr or a terminal, JSON for machines."""

import json
import sys
from typing import Any

from rich.console import Console

out = Console()
err = Console(stderr=True)


def print_error(error: Exception) -> None:
    """Say what went wrong, on stderr so that --json output stays clean."""
    err.print("[bold red]error[/]", end=": ")
    err.print(str(error), markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout, flushed at once so that a reader can follow along."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
