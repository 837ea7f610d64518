"""The command line, the only package that imports the library, `actors` and `cluster` together."""

import sys


def main() -> None:
    """Run `codecsight`. A CodecSightError ends it with a one-line message and exit code 2."""
    try:
        _run()
    except KeyboardInterrupt:  # during imports; later on, commands handle signals themselves
        sys.exit(130)


def _run() -> None:
    from codecsight.cli.app import app
    from codecsight.cli.output import prepare_output, print_error
    from codecsight.core.errors import CodecSightError

    prepare_output()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except CodecSightError as error:
        print_error(error)
        sys.exit(2)
