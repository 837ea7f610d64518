"""`codecsight bench`: run the published benchmarks."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from codecsight.cli.output import err
from codecsight.core.errors import CodecSightError

bench = typer.Typer(help="Run the published benchmarks.", no_args_is_help=True)

Quick = Annotated[bool, typer.Option(help="Run a small, fast version (a smoke test).")]
Device = Annotated[str, typer.Option(help="Device of the models: cpu or cuda.")]
Shape = Annotated[
    str | None,
    typer.Option(
        help="Use random weights in the shape of a larger model: qwen3-vl-2b or qwen3-vl-8b."
    ),
]
Json = Annotated[Path, typer.Option("--json", help="File to write the result to.", dir_okay=False)]


@bench.callback()
def _bench() -> None:
    """Run the published benchmarks. They need a checkout of the repository."""


@bench.command()
def edge(json_file: Json, quick: Quick = False) -> None:
    """Measure change detection at the edge: recall of changed cells, cells sent, and CPU time.

    The change policies are compared on scenes with known changes, in difficult conditions.
    """
    _measure("edge", json_file, quick)


@bench.command()
def density(
    json_file: Json, quick: Quick = False, device: Device = "cpu", shape: Shape = None
) -> None:
    """Measure serving: streams per device, answer latency and FLOPs.

    Compares this engine with transformers, dense windows, EVS and the published policy.
    """
    _measure("density", json_file, quick, device=device, shape=shape)


@bench.command()
def accuracy(json_file: Json, quick: Quick = False) -> None:
    """Measure answers: agreement of pruned, cached windows with dense ones, accuracy, and cost.

    Compares change policies, KV policies and trivial baselines, with settings and conditions of
    real cameras.
    """
    _measure("accuracy", json_file, quick)


def _measure(name: str, json_file: Path, quick: bool, **options: str | None) -> None:
    sys.path.insert(0, str(Path.cwd()))  # an installed script lacks the current folder
    try:
        module = import_module(f"benchmarks.{name}.run")
    except ModuleNotFoundError as error:
        if error.name != "benchmarks":
            raise
        raise CodecSightError(
            "the benchmarks are not part of the installed package: run this in a checkout of the "
            "repository"
        ) from None
    if not json_file.parent.is_dir():
        raise CodecSightError(f"--json: {json_file}: there is no folder {json_file.parent}")
    with err.status("measuring") as status:
        result = module.run(quick, on_progress=lambda text: status.update(text), **options)
    module.save(result, json_file)
