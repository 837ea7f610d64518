"""The command line: the one place that sees library, actors and cluster together."""

import sys

from codecsight.cli.app import app
from codecsight.cli.console import fail
from codecsight.errors import CodecSightError


def main() -> None:
    """Run `codecsight`; errors a user can mend end with one clear message and exit code 2."""
    try:
        app()
    except CodecSightError as error:
        fail(error)
        sys.exit(2)
