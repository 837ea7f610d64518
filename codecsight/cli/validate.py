"""`codecsight validate`: check configuration files without starting anything."""

from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.output import out, print_json
from codecsight.config import ConfigError, check_readable, load_any
from codecsight.core.urls.redaction import redact_text


def validate(
    files: Annotated[list[Path], typer.Argument(help="Files to check: site.yaml, cloud.yaml.")],
    check_secrets: Annotated[
        bool,
        typer.Option(
            "--check-secrets",
            help="Also check that every referenced secret and TLS file can be read.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file.")
    ] = False,
) -> None:
    """Check configuration files and list every problem as FILE:LINE: KEY: what was expected.

    The keys of a file say whether it is a site.yaml or a cloud.yaml. The exit code is 2 if a file
    is invalid.

    Example: `codecsight validate site.yaml cloud.yaml --check-secrets`
    """
    invalid = False
    for path in files:
        problem = _problem(path, check_secrets)
        invalid = invalid or problem is not None
        if as_json:
            errors = problem.splitlines() if problem is not None else []
            print_json({"file": str(path), "ok": problem is None, "errors": errors})
        else:
            out.print(problem or f"{path}: valid", markup=False, highlight=False, soft_wrap=True)
    if invalid:
        raise typer.Exit(2)


def _problem(path: Path, check_secrets: bool) -> str | None:
    """The file's problems, one per line, or None if it is valid."""
    try:
        config = load_any(path)
        if check_secrets:
            check_readable(path, config)
    except ConfigError as error:
        return redact_text(str(error))
    return None
