"""Options shared by several commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", help="Configuration file: site.yaml or cloud.yaml.")
]
Questions = Annotated[
    list[str],
    typer.Option(
        "--question",
        "-q",
        help='Question to ask; repeat for several. The wording sets the type of answer: "Is ...?" '
        'yes or no; "How many ...?" a number; "... | a, b" one of the options (quoted '
        "if it has a comma); "
        "'... | {JSON schema}' an object; anything else free text.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Checkpoint folder or Hugging Face id. Default: the built-in small model."),
]
Policy = Annotated[
    str,
    typer.Option(
        help="Change policy that selects the cells to send: tracked, published, pixels, everything "
        "or random."
    ),
]
AnchorEvery = Annotated[
    int, typer.Option(help="Interval of anchors (slots with every cell), in slots.", min=1)
]
Window = Annotated[int, typer.Option(help="Length of the context window, in slots.", min=1)]
Stride = Annotated[int, typer.Option(help="Slots by which the window moves at a time.", min=1)]
Refresh = Annotated[
    str,
    typer.Option(
        help="Slots to recompute when the window moves: none, all, anchors, first:N (the N oldest) "
        "or drift:N (the N that lost most of their context)."
    ),
]
Transport = Annotated[Literal["tcp", "udp"], typer.Option(help="Transport of RTSP streams.")]
CloudAddress = Annotated[str, typer.Option("--address", help="Gateway of the cloud, HOST:PORT.")]
