"""Authentication and authorization of gRPC peers by mutual TLS."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.rpc.control_client import ControlClient, ControlError, load_tls_files
from actors.rpc.transport import TlsCredentials
from actors.rpc.uplink_client import LinkState
from cluster.certificates import Authority, KeyPair
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from tests.actors.rpc.memory_host import MemoryHost, of_stream, serving, site, until, welcomed
from tests.uplink.chunks import STREAM, anchor

QUESTION = Question.parse("Is there a person?")


class Pki:
    """Certificates of two authorities: the cloud's own, and an unknown one."""

    def __init__(self, folder: Path) -> None:
        self._own = Authority(folder / "own")
        self._unknown = Authority(folder / "unknown")
        self.cloud = _keys(self._own, self._own.issue("cloud", ["localhost", "127.0.0.1"]))
        self.north = _keys(self._own, self._own.issue("north", ["north"]))
        self.south = _keys(self._own, self._own.issue("south", ["south"]))
        # Of the same authority, and in no list: a site that was removed from it, for example.
        self.removed = _keys(self._own, self._own.issue("west", ["west"]))
        self.operator = _keys(self._own, self._own.issue("operator", ["operator"]))
        self.stranger = _keys(self._unknown, self._unknown.issue("north", ["north"]))
        # Trusts the cloud's authority, but has a certificate of the unknown one.
        self.impostor = TlsCredentials(self.north.ca, self.stranger.cert, self.stranger.key)


def _keys(authority: Authority, pair: KeyPair) -> TlsCredentials:
    keys = load_tls_files(authority.ca, pair.cert, pair.key)
    assert keys is not None
    return keys


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def test_a_site_with_its_own_certificate_is_served(pki: Pki) -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with (
            serving(host, pki.cloud) as server,
            site(server.port, "north", pki.north) as client,
        ):
            link = await welcomed(client.open(STREAM, 640, 360))
            link.offer(anchor())
            await until(lambda: link.edge.idle)
            assert len(host.slots[STREAM]) == 1

    asyncio.run(scene())


def test_a_site_with_another_sites_certificate_is_rejected(pki: Pki) -> None:
    async def scene() -> None:
        async with (
            serving(MemoryHost(), pki.cloud) as server,
            site(server.port, "north", pki.south) as client,
        ):
            link = client.open(STREAM, 640, 360)
            await until(lambda: link.state is LinkState.REJECTED)
            assert "not that of the site 'north'; it names 'south'" in link.detail

    asyncio.run(scene())


@pytest.mark.parametrize("peer", ["impostor", "stranger", "none"])
def test_a_peer_without_a_certificate_of_the_authority_is_rejected(pki: Pki, peer: str) -> None:
    keys = None if peer == "none" else getattr(pki, peer)

    async def scene() -> None:
        host = MemoryHost()
        async with (
            serving(host, pki.cloud) as server,
            site(server.port, "north", keys) as client,
        ):
            link = client.open(STREAM, 640, 360)
            await until(lambda: link.state is LinkState.DOWN)
            assert "UNAVAILABLE" in link.detail
            await asyncio.sleep(0.3)
            assert link.spec is None
            assert not host.slots

    asyncio.run(scene())


def test_a_site_may_view_its_own_streams_and_an_operator_all(pki: Pki) -> None:
    async def scene() -> None:
        async with (
            serving(MemoryHost(), pki.cloud) as server,
            site(server.port, "north", pki.north) as north,
            site(server.port, "south", pki.south) as south,
        ):
            await welcomed(north.open("north.gate", 640, 360))
            link = await welcomed(south.open("south.door", 640, 360))
            link.offer(of_stream(anchor(), "south.door"))
            assert await asyncio.to_thread(_list, server.port, pki.north) == {"north.gate"}
            everything = {"north.gate", "south.door"}
            assert await asyncio.to_thread(_list, server.port, pki.operator) == everything
            with pytest.raises(ControlError, match="another site"):
                await asyncio.to_thread(_ask, server.port, pki.north, "south.door")
            await asyncio.to_thread(_ask, server.port, pki.operator, "south.door")

    asyncio.run(scene())


def test_a_certificate_that_no_list_names_may_do_nothing(pki: Pki) -> None:
    calls: dict[str, Callable[[ControlClient], object]] = {
        "list": lambda control: control.streams(),
        "status": lambda control: control.status(),
        "ask": lambda control: control.ask("north.gate", QUESTION, 10.0),
        "ask stream": lambda control: list(control.ask_stream("north.gate", QUESTION, 10.0)),
    }

    async def scene() -> None:
        async with (
            serving(MemoryHost(), pki.cloud) as server,
            site(server.port, "north", pki.north) as north,
            site(server.port, "west", pki.removed) as removed,
        ):
            await welcomed(north.open("north.gate", 640, 360))
            for call in calls.values():
                with pytest.raises(ControlError, match=r"names 'west', which .*'operators' do not"):
                    await asyncio.to_thread(_call, server.port, pki.removed, call)
            link = removed.open("west.gate", 640, 360)
            await until(lambda: link.state is LinkState.REJECTED)
            assert "'west' is not in the cloud's list of sites" in link.detail

    with capture_logs() as logs:
        asyncio.run(scene())
    refused = [entry for entry in logs if entry["event"] == "control call refused"]
    assert [(entry["log_level"], entry["certificate"]) for entry in refused] == [
        ("warning", ["west"])
    ] * len(calls)


def test_only_an_operator_reads_the_status_of_the_cloud(pki: Pki) -> None:
    async def scene() -> None:
        async with serving(MemoryHost(), pki.cloud) as server:
            with pytest.raises(ControlError, match="names 'north', which"):
                await asyncio.to_thread(_call, server.port, pki.north, ControlClient.status)
            status = await asyncio.to_thread(_call, server.port, pki.operator, ControlClient.status)
            assert status.model == "tiny"

    asyncio.run(scene())


def test_a_control_call_without_a_valid_certificate_fails(pki: Pki) -> None:
    async def scene() -> None:
        async with serving(MemoryHost(), pki.cloud) as server:
            with pytest.raises(ControlError, match="one authority sign both certificates"):
                await asyncio.to_thread(_list, server.port, pki.impostor)

    asyncio.run(scene())


def test_a_question_about_an_unserved_stream_fails() -> None:
    async def scene() -> None:
        async with serving(MemoryHost()) as server:
            with pytest.raises(ControlError, match=r"no worker serves the stream 'north\.gate'"):
                await asyncio.to_thread(_ask, server.port, None, "north.gate")

    asyncio.run(scene())


def test_missing_tls_files_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodecSightError, match="all of ca, cert and key"):
        load_tls_files(tmp_path / "ca.pem", None, None)
    with pytest.raises(CodecSightError, match=r"ca\.pem can't be read"):
        load_tls_files(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")


def test_an_address_in_use_is_an_error() -> None:
    async def scene() -> None:
        async with serving(MemoryHost()) as server:
            with pytest.raises(CodecSightError, match=f"can't listen on 127.0.0.1:{server.port}"):
                async with serving(MemoryHost(), port=server.port):
                    pass

    asyncio.run(scene())


def _list(port: int, keys: TlsCredentials | None) -> set[str]:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        return {row.stream for row in control.streams()}


def _call(port: int, keys: TlsCredentials | None, call: Callable[[ControlClient], Any]) -> Any:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        return call(control)


def _ask(port: int, keys: TlsCredentials | None, stream: str) -> None:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        control.ask(stream, Question.parse("Is there a person?"), 10.0)
