"""`codecsight ask` against a real server: words on a terminal, one line in a pipe."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from subprocess import PIPE

import pytest

from actors.rpc.control_client import ControlClient, ControlError
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.question import Question
from tests.actors.rpc.memory_host import MemoryHost, serving, site, welcomed
from tests.uplink.chunks import STREAM

SEEN = "What is there?"


def _command(port: int, *more: str) -> list[str]:
    address = f"127.0.0.1:{port}"
    return [sys.executable, "-m", "codecsight", "ask", STREAM, SEEN, "--address", address, *more]


def _in_a_pipe(port: int, *more: str) -> str:
    run = subprocess.run(_command(port, *more), stdout=PIPE, text=True, check=True, timeout=30)
    return run.stdout


def _on_a_terminal(port: int) -> str:
    """All that is drawn."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        _command(port), stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(theirs)
        drawn = b""
        try:
            while said := os.read(ours, 4096):
                drawn += said
        except OSError:  # how a terminal ends
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return drawn.decode()


def test_words_are_shown_as_they_are_said_on_a_terminal_only() -> None:
    async def scene() -> None:
        async with serving(MemoryHost()) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            drawn, piped, row = await asyncio.gather(
                asyncio.to_thread(_on_a_terminal, server.port),
                asyncio.to_thread(_in_a_pipe, server.port),
                asyncio.to_thread(_in_a_pipe, server.port, "--json"),
            )
        places = [drawn.index(each) for each in ("a ...", "a red ...", "a red car ...", "0.75")]
        assert places == sorted(places)
        assert piped == f"a red car  (p 0.75)  {STREAM}, 1.0-2.5 s, 12 ms\n"
        assert json.loads(row)["value"] == "a red car"

    asyncio.run(scene())


def test_asking_aloud_gives_words_and_then_the_answer_or_says_why_not() -> None:
    def asked(port: int, stream: str) -> list[PartialAnswer | Answer]:
        with ControlClient(f"127.0.0.1:{port}") as control:
            return list(control.ask_stream(stream, Question.parse(SEEN)))

    async def scene() -> None:
        async with serving(MemoryHost()) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            *words, answer = await asyncio.to_thread(asked, server.port, STREAM)
            assert words == [PartialAnswer("a"), PartialAnswer("a red"), PartialAnswer("a red car")]
            assert isinstance(answer, Answer)
            with pytest.raises(ControlError, match="nobody"):
                await asyncio.to_thread(asked, server.port, "north.nobody")

    asyncio.run(scene())
