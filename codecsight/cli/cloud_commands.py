"""`codecsight cloud` and `codecsight ask`: run the cloud side, and put a question to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.text import Text

from codecsight.cli.options import AsJson, CloudAddress, ConfigFile
from codecsight.cli.output import out, print_json
from codecsight.core.errors import CodecSightError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codecsight.core.answer import Answer, PartialAnswer
    from codecsight.core.question import Question


def cloud(config: ConfigFile) -> None:
    """Run the cloud: a gateway for the sites, a directory of streams, GPU workers with one model.

    Ends on SIGTERM or Ctrl-C. The Ray dashboard's address is printed at the start; its actor list
    reads as the fleet.
    """
    from cluster.cloud_runtime import run_cloud
    from cluster.shutdown import stop_on_signals
    from codecsight.config import CloudConfig, load_config

    run_cloud(load_config(config, CloudConfig), stop_on_signals())


def ask(
    stream: Annotated[str, typer.Argument(help="SITE.CAMERA, such as yard-7.gate.")],
    question: Annotated[str, typer.Argument(help='Such as "Is there a person?".')],
    address: CloudAddress = "127.0.0.1:7443",
    ca: Annotated[Path | None, typer.Option(help="The authority's certificate (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Our certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Our private key (PEM).")] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="A JSON schema of an object (file); the answer will follow it."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=0.1)] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Ask a question about what a stream shows now. It leaves no trace in the stream's window."""
    from actors.rpc.control_client import ControlClient, load_tls_files
    from codecsight.cli.watch import answer_row

    asked = load_question(question, schema)
    with ControlClient(address, load_tls_files(ca, cert, key)) as client:
        if asked.free_form and out.is_terminal and not as_json:
            answer = _heard(client.ask_stream(stream, asked, timeout))
        else:
            answer = client.ask(stream, asked, timeout)
    if as_json:
        print_json(answer_row(answer))
    else:
        out.print(f"[bold]{answer.value}[/]  (p {answer.probability:.2f})  {stream}, ", end="")
        out.print(f"{answer.start:.1f}-{answer.end:.1f} s, {answer.latency_ms:.0f} ms")


def _heard(saying: "Iterator[PartialAnswer | Answer]") -> "Answer":
    """The answer, at the end; until then its words are shown."""
    from codecsight.core.answer import PartialAnswer

    with Live(console=out, transient=True) as live:
        for said in saying:
            if not isinstance(said, PartialAnswer):
                return said
            live.update(Text(f"{said.text} ..."), refresh=True)
    raise CodecSightError("the cloud hung up before the answer was whole; ask again")


def load_question(text: str, schema: Path | None) -> "Question":
    """The question as it was meant, to be answered in the shape of the schema file if there is one.
    Raises CodecSightError.
    """
    from codecsight.core.question import Question, QuestionKind

    if schema is None:
        return Question.parse(text)
    try:
        return Question(text, QuestionKind.JSON, schema=schema.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CodecSightError(f"{schema}: can't be read: {error}") from error
