"""The Typer application with all commands.

Heavy modules (torch, ray, numba) are imported inside the commands, so that `--help` is fast.
"""

import sys

import structlog
import typer

from codecsight import __version__
from codecsight.cli.bench import bench
from codecsight.cli.clip import clip
from codecsight.cli.cloud_commands import ask, cloud
from codecsight.cli.demo import demo
from codecsight.cli.doctor import doctor
from codecsight.cli.inspect import inspect
from codecsight.cli.site_command import site
from codecsight.cli.validate import validate
from codecsight.cli.watch import watch

app = typer.Typer(
    name="codecsight",
    help="Ask questions about many live cameras with a vision-language model; the video codec's "
    "signals select the image patches that are encoded.\n\n"
    "Start with `codecsight demo`. Then try `codecsight doctor CAMERA` and `codecsight watch "
    "CAMERA`, where CAMERA is an rtsp:// URL or a video file.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    del version
    # Logs go to stderr: stdout is for results, which a program may parse.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


for command in (demo, watch, doctor, inspect, site, cloud, ask, clip, validate):
    app.command()(command)
app.add_typer(bench, name="bench")
