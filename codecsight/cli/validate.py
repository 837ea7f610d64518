"""`codecsight validate`: check a site.yaml or cloud.yaml without starting anything."""

from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.output import out, print_json
from codecsight.config import CloudConfig, ConfigError, SiteConfig, load_config


def validate(
    files: Annotated[list[Path], typer.Argument(help="site.yaml or cloud.yaml files.")],
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Also check that every named secret can be read.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file.")] = False,
) -> None:
    """Check configuration files: every problem is told as FILE:LINE: KEY: what was expected.

    A file with a `cameras` key is read as a site, any other as a cloud.
    """
    bad = False
    for path in files:
        problem = _problem(path, secrets)
        bad = bad or problem is not None
        if as_json:
            print_json({"file": str(path), "ok": problem is None, "error": problem})
        else:
            out.print(problem or f"{path}: good", markup=False, highlight=False, soft_wrap=True)
    if bad:
        raise typer.Exit(2)


def _problem(path: Path, secrets: bool) -> str | None:
    try:
        if "cameras:" not in (path.read_text(errors="replace") if path.is_file() else ""):
            cloud = load_config(path, CloudConfig)
            if secrets and cloud.tls is not None:
                cloud.tls.check("tls")
            return None
        site = load_config(path, SiteConfig)
        if secrets:
            site.read_secrets()
    except ConfigError as error:
        return str(error)
    return None
