"""The command line: the one place that sees library, actors and cluster together."""

import sys


def main() -> None:
    """Run `codecsight`; errors a user can mend end with one clear message and exit code 2."""
    try:
        _run()
    except KeyboardInterrupt:  # while modules are still being imported; commands see to the rest
        sys.exit(130)


def _run() -> None:
    from codecsight.cli.app import app
    from codecsight.cli.output import print_error
    from codecsight.core.errors import CodecSightError

    try:
        app()
    except CodecSightError as error:
        print_error(error)
        sys.exit(2)
