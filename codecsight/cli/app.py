"""The Typer application with all commands.

Heavy modules (torch, ray, numba) are imported inside the commands, so that `--help` is fast.
"""

from typing import Annotated

import typer

from codecsight import __version__
from codecsight.cli.ask import ask
from codecsight.cli.bench import bench
from codecsight.cli.clip import clip
from codecsight.cli.cloud_command import cloud
from codecsight.cli.demo import demo
from codecsight.cli.doctor import doctor
from codecsight.cli.inspect import inspect
from codecsight.cli.site_command import site
from codecsight.cli.validate import validate
from codecsight.cli.watch import watch
from codecsight.logs import (
    FORMAT_VARIABLE,
    LEVEL_VARIABLE,
    LogFormat,
    LogLevel,
    configure_logs,
    set_log_options,
)

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
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
    log: Annotated[
        LogFormat,
        typer.Option(envvar=FORMAT_VARIABLE, help="Format of the logs, which go to stderr."),
    ] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel, typer.Option(envvar=LEVEL_VARIABLE, help="Lowest level that is logged.")
    ] = LogLevel.INFO,
) -> None:
    del version
    set_log_options(log, log_level)
    configure_logs(context.invoked_subcommand or "codecsight")


for command in (demo, watch, doctor, inspect, site, cloud, ask, clip, validate):
    app.command()(command)
app.add_typer(bench, name="bench")
