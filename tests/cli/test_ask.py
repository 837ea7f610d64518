"""`codecsight ask` against a real server: partial answers on a terminal, one line in a pipe."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
import yaml

from actors.rpc.control_client import ControlClient, ControlError, load_tls_files
from cluster.certificates import Authority
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.question import Question
from tests.actors.rpc.memory_host import MemoryHost, serving, site, welcomed
from tests.uplink.chunks import STREAM

QUESTION = "What is there?"


def _command(port: int, *options: str) -> list[str]:
    address = f"127.0.0.1:{port}"
    return [
        sys.executable,
        "-m",
        "codecsight",
        "ask",
        STREAM,
        QUESTION,
        "--address",
        address,
        *options,
    ]


def _run_in_a_pipe(port: int, *options: str) -> str:
    run = subprocess.run(_command(port, *options), stdout=PIPE, text=True, check=True, timeout=30)
    return run.stdout


def _run_on_a_terminal(port: int) -> str:
    """Everything that the command draws on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        _command(port), stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(theirs)
        drawn = b""
        try:
            while data := os.read(ours, 4096):
                drawn += data
        except OSError:  # a closed pseudo-terminal raises instead of returning b""
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return drawn.decode()


def test_partial_answers_are_shown_on_a_terminal_only() -> None:
    async def scenario() -> None:
        async with serving(MemoryHost()) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            drawn, piped, row = await asyncio.gather(
                asyncio.to_thread(_run_on_a_terminal, server.port),
                asyncio.to_thread(_run_in_a_pipe, server.port),
                asyncio.to_thread(_run_in_a_pipe, server.port, "--json"),
            )
        positions = [drawn.index(each) for each in ("a ...", "a red ...", "a red car ...", "0.75")]
        assert positions == sorted(positions)
        assert piped == f"a red car  (p 0.75)  {STREAM}, 1.0-2.5 s, 2 s ago, 12 ms, tiny\n"
        assert json.loads(row)["value"] == "a red car"

    asyncio.run(scenario())


def _run(port: int | None, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    address = [] if port is None else ["--address", f"127.0.0.1:{port}"]
    return subprocess.run(
        [sys.executable, "-m", "codecsight", "ask", STREAM, QUESTION, *address, *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_an_answer_about_an_old_picture_is_refused_unless_it_is_asked_for() -> None:
    async def scenario() -> None:
        host = MemoryHost()
        host.age_s = 75.0
        async with serving(host) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            refused, allowed, unlimited = await asyncio.gather(
                asyncio.to_thread(_run, server.port),
                asyncio.to_thread(_run, server.port, "--max-age", "80"),
                asyncio.to_thread(_run, server.port, "--max-age", "0", "--json"),
            )
        assert refused.returncode == 2
        assert (refused.stdout, "too old" in refused.stderr) == ("", True)
        assert "75 s ago" in allowed.stdout
        row = json.loads(unlimited.stdout)
        assert (row["age_s"], row["model"]) == (75.0, "tiny")

    asyncio.run(scenario())


def test_address_and_tls_come_from_a_configuration_file_or_the_environment(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    cloud = authority.issue("cloud", ["127.0.0.1"])
    edge = authority.issue("north", ["north"])
    keys = load_tls_files(authority.ca, cloud.cert, cloud.key)

    async def scenario() -> None:
        async with (
            serving(MemoryHost(), keys) as server,
            site(server.port, "north", load_tls_files(authority.ca, edge.cert, edge.key)) as client,
        ):
            await welcomed(client.open(STREAM, 640, 360))
            address = f"127.0.0.1:{server.port}"
            tls = {"ca": str(authority.ca), "cert": str(edge.cert), "key": str(edge.key)}
            config = {
                "site": "north",
                "cloud": {"address": address, "tls": tls},
                "spool": str(tmp_path),
                "archive": {"url": str(tmp_path)},
                "cameras": {"gate": {"url": "a.mp4"}},
            }
            (tmp_path / "site.yaml").write_text(yaml.safe_dump(config))
            variables = {f"CODECSIGHT_{name.upper()}": path for name, path in tls.items()}
            by_file, by_environment = await asyncio.gather(
                asyncio.to_thread(_run, None, "-c", str(tmp_path / "site.yaml")),
                asyncio.to_thread(_run, None, CODECSIGHT_ADDRESS=address, **variables),
            )
        assert by_file.stdout.startswith("a red car"), by_file.stderr
        assert by_environment.stdout == by_file.stdout

    asyncio.run(scenario())


def test_ask_stream_yields_partial_answers_then_the_answer_or_raises() -> None:
    def ask(port: int, stream: str) -> list[PartialAnswer | Answer]:
        with ControlClient(f"127.0.0.1:{port}") as control:
            return list(control.ask_stream(stream, Question.parse(QUESTION)))

    async def scenario() -> None:
        async with serving(MemoryHost()) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            *partial, answer = await asyncio.to_thread(ask, server.port, STREAM)
            assert partial == [
                PartialAnswer("a"),
                PartialAnswer("a red"),
                PartialAnswer("a red car"),
            ]
            assert isinstance(answer, Answer)
            with pytest.raises(ControlError, match="nobody"):
                await asyncio.to_thread(ask, server.port, "north.nobody")

    asyncio.run(scenario())
