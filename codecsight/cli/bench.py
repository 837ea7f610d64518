"""`codecsight bench`: measure again what is claimed."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.output import err
from codecsight.core.errors import CodecSightError

bench = typer.Typer(help="Measure again what is claimed.", no_args_is_help=True)

Quick = Annotated[bool, typer.Option(help="Small and short, to see that it runs.")]
Device = Annotated[str, typer.Option(help="Where the models run: cpu, cuda.")]
Shape = Annotated[
    str | None,
    typer.Option(help="Random weights in a larger shape: qwen3-vl-2b, qwen3-vl-8b."),
]
Json = Annotated[Path, typer.Option("--json", help="Where the result goes.", dir_okay=False)]


@bench.callback()
def _bench() -> None:
    """Measure again what is claimed."""


@bench.command()
def edge(json_file: Json, quick: Quick = False) -> None:
    """How much of what changed is shipped, under conditions that are hard on cameras, against the
    published rule and others; and what each stage costs.
    """
    _measure("edge", json_file, quick)


@bench.command()
def density(
    json_file: Json, quick: Quick = False, device: Device = "cpu", shape: Shape = None
) -> None:
    """How many streams one device serves, how soon it answers and what that costs: this engine
    beside transformers, dense windows, EVS and the published policy.
    """
    _measure("density", json_file, quick, device=device, shape=shape)


@bench.command()
def accuracy(json_file: Json, quick: Quick = False) -> None:
    """How often pruned, cached windows answer like whole ones, and rightly, at what cost: change
    policies, KV policies and simple baselines, on the settings and conditions of real cameras.
    """
    _measure("accuracy", json_file, quick)


def _measure(name: str, json_file: Path, quick: bool, **how: str | None) -> None:
    sys.path.insert(0, str(Path.cwd()))  # a script's path begins where it is installed
    try:
        module = import_module(f"benchmarks.{name}.run")
    except ModuleNotFoundError as error:
        if error.name != "benchmarks":
            raise
        raise CodecSightError(
            "the benchmarks aren't installed with the package: run this in a checkout of it"
        ) from None
    with err.status("measuring") as status:
        result = module.run(quick, on_progress=lambda what: status.update(what), **how)
    json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
