"""`codecsight ask`: ask a cloud a question about a stream."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from codecsight.cli.options import AsJson
from codecsight.cli.output import out, print_json
from codecsight.core.errors import CodecSightError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.rpc.control_client import ControlClient
    from codecsight.core.answer import Answer, PartialAnswer
    from codecsight.core.question import Question

DEFAULT_ADDRESS = "127.0.0.1:7443"
MAX_AGE_S = 60.0


def ask(
    stream: Annotated[str, typer.Argument(help="Stream, as SITE.CAMERA; e.g. yard-7.gate.")],
    question: Annotated[str, typer.Argument(help='Question, e.g. "Is there a person?".')],
    address: Annotated[
        str | None,
        typer.Option(
            envvar="CODECSIGHT_ADDRESS",
            help="Gateway of the cloud, HOST:PORT. Default: that of --config, or "
            f"{DEFAULT_ADDRESS}.",
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(envvar="CODECSIGHT_CA", help="CA certificate (PEM).")
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(envvar="CODECSIGHT_CERT", help="Client certificate (PEM).")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(envvar="CODECSIGHT_KEY", help="Client private key (PEM).")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="CODECSIGHT_CONFIG",
            help="site.yaml or cloud.yaml with the address and the TLS files.",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="File with the JSON schema of an object that the answer must match."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)] = 30.0,
    max_age: Annotated[
        float,
        typer.Option(
            help="Largest age of the stream's newest picture, in seconds; 0 for no limit.", min=0
        ),
    ] = MAX_AGE_S,
    as_json: AsJson = False,
) -> None:
    """Ask one question about the current window of a stream.

    The question and its answer are not added to the stream's window. On a terminal a free-text
    answer is shown while it is generated. The exit code is 2 if there is no answer, such as for a
    stream whose newest picture is older than --max-age.

    Examples: `codecsight ask yard-7.gate "How many people are there?" -c site.yaml` or
    `codecsight ask yard-7.gate "Is there a truck?" --address 10.0.0.2:7443 --ca ca.pem --cert
    me.pem --key me.key`
    """
    from codecsight.cli.watch_output import answer_row, value_text

    parsed = load_question(question, schema)
    with _connect(address, (ca, cert, key), config) as client:
        if parsed.free_form and out.is_terminal and not as_json:
            answer = _show_partial_answers(client.ask_stream(stream, parsed, timeout, max_age))
        else:
            answer = client.ask(stream, parsed, timeout, max_age)
    if as_json:
        print_json(answer_row(answer))
    else:
        out.print(
            f"[bold]{escape(value_text(answer.value))}[/]  (p {answer.probability:.2f})  ", end=""
        )
        out.print(f"{stream}, {answer.start:.1f}-{answer.end:.1f} s, ", end="", markup=False)
        out.print(f"{answer.age_s:.0f} s ago, {answer.latency_ms:.0f} ms, {answer.model}")


def _connect(
    address: str | None, files: tuple[Path | None, Path | None, Path | None], config: Path | None
) -> "ControlClient":
    """A client of the given address and TLS files, or those of the configuration file."""
    from actors.rpc.control_client import ControlClient, load_tls_files
    from codecsight.core.urls.address import parse_address

    if config is not None:
        configured_address, configured_files = _from_config(config)
        address = address or configured_address
        files = files if any(files) else configured_files
    address = address or DEFAULT_ADDRESS
    parse_address(address)
    return ControlClient(address, load_tls_files(*files))


def _from_config(path: Path) -> tuple[str, tuple[Path | None, Path | None, Path | None]]:
    """Address and TLS files of a site.yaml or cloud.yaml."""
    from codecsight.config import SiteConfig, load_any

    config = load_any(path)
    address, tls = (
        (config.cloud.address, config.cloud.tls)
        if isinstance(config, SiteConfig)
        else (config.listen, config.tls)
    )
    return address, (tls.ca, tls.cert, tls.key) if tls else (None, None, None)


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
