"""All commands in one Typer application. Heavy imports wait until their command runs."""

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
    help="Vision-language models that watch many live cameras, guided by the video codec.\n\n"
    "Start with `codecsight demo`; then `codecsight doctor CAMERA` and `codecsight watch CAMERA`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    del version
    # What happens is told on stderr: stdout is for results, which a machine may read.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


for command in (demo, watch, doctor, inspect, site, cloud, ask, clip, validate):
    app.command()(command)
app.add_typer(bench, name="bench")
