"""Who gets in, and what each may see."""

import asyncio
from pathlib import Path

import pytest

from actors.rpc.control_client import ControlClient, ControlError, load_tls_files
from actors.rpc.transport import TlsCredentials
from actors.rpc.uplink_client import LinkState
from cluster.certificates import Authority, KeyPair
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from tests.actors.rpc.memory_host import MemoryHost, of_stream, serving, site, until, welcomed
from tests.uplink.chunks import STREAM, anchor


class Pki:
    """Two authorities: ours, and a stranger's."""

    def __init__(self, folder: Path) -> None:
        self._ours = Authority(folder / "ours")
        self._other = Authority(folder / "other")
        self.cloud = _keys(self._ours, self._ours.issue("cloud", ["localhost", "127.0.0.1"]))
        self.north = _keys(self._ours, self._ours.issue("north", ["north"]))
        self.south = _keys(self._ours, self._ours.issue("south", ["south"]))
        self.operator = _keys(self._ours, self._ours.issue("operator", ["operator"]))
        self.stranger = _keys(self._other, self._other.issue("north", ["north"]))
        # Trusts our cloud, but shows a certificate that ours did not sign.
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


def test_a_site_with_another_sites_certificate_is_refused(pki: Pki) -> None:
    async def scene() -> None:
        async with (
            serving(MemoryHost(), pki.cloud) as server,
            site(server.port, "north", pki.south) as client,
        ):
            link = client.open(STREAM, 640, 360)
            await until(lambda: link.state is LinkState.REFUSED)
            assert "not that of the site 'north'; it names south" in link.detail

    asyncio.run(scene())


@pytest.mark.parametrize("who", ["impostor", "stranger", "nobody"])
def test_without_a_certificate_of_the_authority_nobody_gets_in(pki: Pki, who: str) -> None:
    keys = None if who == "nobody" else getattr(pki, who)

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


def test_a_site_sees_its_own_streams_and_an_operator_sees_all(pki: Pki) -> None:
    async def scene() -> None:
        async with (
            serving(MemoryHost(), pki.cloud) as server,
            site(server.port, "north", pki.north) as north,
            site(server.port, "south", pki.south) as south,
        ):
            await welcomed(north.open("north.gate", 640, 360))
            link = await welcomed(south.open("south.door", 640, 360))
            link.offer(of_stream(anchor(), "south.door"))
            assert await asyncio.to_thread(_seen, server.port, pki.north) == {"north.gate"}
            everything = {"north.gate", "south.door"}
            assert await asyncio.to_thread(_seen, server.port, pki.operator) == everything
            with pytest.raises(ControlError, match="another site's"):
                await asyncio.to_thread(_ask, server.port, pki.north, "south.door")
            await asyncio.to_thread(_ask, server.port, pki.operator, "south.door")

    asyncio.run(scene())


def test_a_stranger_may_not_ask_either(pki: Pki) -> None:
    async def scene() -> None:
        async with serving(MemoryHost(), pki.cloud) as server:
            with pytest.raises(ControlError, match="both certificates of one authority"):
                await asyncio.to_thread(_seen, server.port, pki.impostor)

    asyncio.run(scene())


def test_a_question_about_a_stream_that_nobody_watches_says_so() -> None:
    async def scene() -> None:
        async with serving(MemoryHost()) as server:
            with pytest.raises(ControlError, match=r"nobody watches the stream 'north\.gate'"):
                await asyncio.to_thread(_ask, server.port, None, "north.gate")

    asyncio.run(scene())


def test_some_of_the_tls_files_are_as_good_as_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodecSightError, match="all of ca, cert and key"):
        load_tls_files(tmp_path / "ca.pem", None, None)
    with pytest.raises(CodecSightError, match=r"ca\.pem can't be read"):
        load_tls_files(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")


def test_an_address_that_is_taken_is_said_clearly() -> None:
    async def scene() -> None:
        async with serving(MemoryHost()) as server:
            with pytest.raises(CodecSightError, match=f"can't listen on 127.0.0.1:{server.port}"):
                async with serving(MemoryHost(), port=server.port):
                    pass

    asyncio.run(scene())


def _seen(port: int, keys: TlsCredentials | None) -> set[str]:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        return {row.stream for row in control.streams()}


def _ask(port: int, keys: TlsCredentials | None, stream: str) -> None:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        control.ask(stream, Question.parse("Is there a person?"), 10.0)
