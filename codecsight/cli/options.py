"""Options that several commands share, each explained once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines on stdout.")]
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The role's YAML file.")]
Questions = Annotated[
    list[str],
    typer.Option(
        "--question",
        "-q",
        help='"Is ..?" is answered yes or no, "How many ..?" by a number, "..? | a, b" by one of '
        "the options, '..? | {JSON schema}' by an object, anything else by free text. May be given "
        "several times.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Checkpoint folder or hub id; left out: the small one that comes along."),
]
Policy = Annotated[
    str, typer.Option(help="What is shipped: tracked, published, pixels, everything or random.")
]
AnchorEvery = Annotated[int, typer.Option(help="Every how many slots one is whole.", min=1)]
Window = Annotated[int, typer.Option(help="Slots in the window.", min=1)]
Stride = Annotated[int, typer.Option(help="Slots by which the window slides.", min=1)]
Refresh = Annotated[
    str, typer.Option(help="What a slide computes again: none, all, anchors, first:N or drift:N.")
]
Transport = Annotated[Literal["tcp", "udp"], typer.Option(help="How RTSP is carried.")]
CloudAddress = Annotated[str, typer.Option("--address", help="The cloud's gateway, HOST:PORT.")]
