"""`codecsight cloud` and `codecsight ask`: run a cloud node, and ask it a question."""

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
    """Run a cloud node: a gateway for the sites, a directory of streams, and GPU workers.

    Runs until SIGTERM or Ctrl-C. At the start it prints the address of the Ray dashboard, whose
    actor list shows the workers.

    Example: `codecsight cloud -c cloud.yaml`
    """
    from cluster.cloud_runtime import run_cloud
    from cluster.shutdown import stop_on_signals
    from codecsight.config import CloudConfig, load_config

    run_cloud(load_config(config, CloudConfig), stop_on_signals())


def ask(
    stream: Annotated[str, typer.Argument(help="Stream, as SITE.CAMERA; e.g. yard-7.gate.")],
    question: Annotated[str, typer.Argument(help='Question, e.g. "Is there a person?".')],
    address: CloudAddress = "127.0.0.1:7443",
    ca: Annotated[Path | None, typer.Option(help="CA certificate (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Client certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Client private key (PEM).")] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="File with the JSON schema of an object that the answer must match."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Ask one question about the current window of a stream.

    The question and its answer are not added to the stream's window. On a terminal a free-text
    answer is shown while it is generated.

    Example: `codecsight ask yard-7.gate "How many people are there?" --address 10.0.0.2:7443
    --ca ca.pem --cert me.pem --key me.key`
    """
    from actors.rpc.control_client import ControlClient, load_tls_files
    from codecsight.cli.watch import answer_row

    parsed = load_question(question, schema)
    with ControlClient(address, load_tls_files(ca, cert, key)) as client:
        if parsed.free_form and out.is_terminal and not as_json:
            answer = _show_partial_answers(client.ask_stream(stream, parsed, timeout))
        else:
            answer = client.ask(stream, parsed, timeout)
    if as_json:
        print_json(answer_row(answer))
    else:
        out.print(f"[bold]{answer.value}[/]  (p {answer.probability:.2f})  {stream}, ", end="")
        out.print(f"{answer.start:.1f}-{answer.end:.1f} s, {answer.latency_ms:.0f} ms")


def _show_partial_answers(replies: "Iterator[PartialAnswer | Answer]") -> "Answer":
    """Show partial answers as they arrive; return the final one."""
    from codecsight.core.answer import PartialAnswer

    with Live(console=out, transient=True) as live:
        for reply in replies:
            if not isinstance(reply, PartialAnswer):
                return reply
            live.update(Text(f"{reply.text} ..."), refresh=True)
    raise CodecSightError("the cloud closed the connection before the final answer; ask again")


def load_question(text: str, schema: Path | None) -> "Question":
    """Parse a question; with a `schema` file its answer is JSON. Raises CodecSightError."""
    from codecsight.core.question import Question, QuestionKind

    if schema is None:
        return Question.parse(text)
    try:
        return Question(text, QuestionKind.JSON, schema=schema.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CodecSightError(f"{schema}: can't be read: {error}") from error
